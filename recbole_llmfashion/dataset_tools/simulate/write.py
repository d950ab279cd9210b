"""Writes a simulated dataset with its README.md."""

from pathlib import Path

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.atomic.writer import write_folder
from recbole_llmfashion.data.images.image_file import images_path
from recbole_llmfashion.dataset_tools.simulate.readme import MARK, render
from recbole_llmfashion.dataset_tools.simulate.simulation import (
    CATEGORIES,
    SimulationSettings,
)
from recbole_llmfashion.errors import UserError

_README = "README.md"


def write(folder: AtomicFolder, settings: SimulationSettings) -> None:
    """Write the atomic files and the README.md.

    Raises:
        UserError: they cannot be written, or another command is writing to the folder.
    """
    text = render(folder, CATEGORIES[settings.category], command_line(folder.name, settings))
    write_folder(folder, lambda data_sha256: [(_README, text)], [images_path(folder.path, folder.name).name], "--out")


def command_line(name: str, settings: SimulationSettings, images: Path | None = None) -> str:
    """The command that writes the same files, with `--out dataset/<name>`, and the same pictures to the same name."""
    s = settings
    flags = [f"--category {s.category}", f"--users {s.users}"]
    flags += [f"--items {s.items}"] if s.items is not None else []
    flags += [f"--mean_length {s.mean_length}"] if s.mean_length is not None else []
    flags += [f"--seed {s.seed}", f"--out dataset/{name}"]
    return " ".join(["recbole-llmfashion simulate", *flags, *([] if images is None else [f"--images {images.name}"])])


def refuse_foreign(out: Path) -> None:
    """Raise a UserError if the folder has files other than those of a simulated dataset of the same name."""
    present = sorted(path.name for path in out.iterdir() if path.name[0] != ".") if out.is_dir() else []
    name = out.resolve().name
    ours = {_README, *(name + suffix for suffix in (".inter", ".search", ".item")), images_path(out, name).name}
    foreign = [file for file in present if file not in ours]
    if foreign:
        raise UserError(
            f"--out: expected a folder with a simulated {name} or nothing, found {foreign[0]} in {out}; "
            "choose another folder"
        )
    readme = out / _README
    if present and not (readme.is_file() and MARK in readme.read_text(encoding="utf-8", errors="replace")):
        raise UserError(
            f"--out: {out} has files that the simulator did not write and would overwrite; choose another folder"
        )
