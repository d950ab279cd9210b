"""Writes a dataset with canaries: atomic files, canaries.json, a README.md that says so."""

from collections import Counter
from pathlib import Path

from recbole_llmfashion.data.atomic.canaries import CANARIES, Planted
from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.atomic.writer import Content, write_folder
from recbole_llmfashion.data.images.image_file import images_path
from recbole_llmfashion.errors import UserError

README, KEYS = "README.md", ".yaml"


def refuse_existing(out: Path) -> None:
    """Raises a UserError if the folder has files."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out: {out} exists; choose a new folder, or remove that one first")


def write(folder: AtomicFolder, fresh: AtomicFolder, planted: Planted, source: AtomicFolder, command: str) -> None:
    """Writes the dataset and, where customers were taken out, the folder beside it.

    Args:
        folder, fresh, planted: as `plant` returns them.
        source: the dataset that was copied.
        command: the command line.

    Raises:
        UserError: a folder cannot be written.
    """
    own = _files_of(source)
    if planted.held_out:
        about = f"Customers of {source.name} who are not in {folder.name}: to audit runs that were trained on that."
        files = [(README, _readme(fresh.name, about, command, own)), *_keys(fresh.name, own)]
        write_folder(fresh, lambda sha256: files, option="--out")
    counts = Counter(canary.count for canary in planted.canaries if canary.count)
    lines = ", ".join(f"{number} of {count}" for count, number in sorted(counts.items()))
    invented, done = "products and queries", "typed the query and clicked the product"
    if planted.pairs:
        invented, done = "products", "bought the first and then the second product"
    about = (
        f"A copy of {source.name} with invented {invented}, to audit what a run memorises. Canaries by the "
        f"number of customers who {done}: {lines}. {CANARIES} lists them, and "
        f"{len(planted.candidates)} candidates that are in the catalogue and in no row. Train on it for an audit only."
    )
    text = _readme(folder.name, about, command, own)
    others: list[Content] = [(README, text), (CANARIES, planted.as_text()), *_keys(folder.name, own)]
    pictures = images_path(source.path, source.path.resolve().name)
    if pictures.is_file():  # a run on the copy has the list `image`, as a run on the dataset has
        others.append((images_path(folder.path, folder.name).name, pictures.read_bytes()))
    write_folder(folder, lambda sha256: others, option="--out")


def _files_of(source: AtomicFolder) -> dict[str, str]:
    """README.md and the YAML file of the dataset's own keys, where it has them."""
    files = {README: source.path / README, KEYS: source.path / f"{source.path.resolve().name}{KEYS}"}
    return {name: path.read_text("utf-8", errors="replace") for name, path in files.items() if path.is_file()}


def _keys(name: str, own: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"{name}{KEYS}", own[KEYS])] if KEYS in own else []


def _readme(name: str, about: str, command: str, own: dict[str, str]) -> str:
    text = f"# {name}: a dataset for audits\n\n{about}\n\n    {command}\n\nThe same command writes the same bytes.\n"
    return f"{text}\nOf the dataset that was copied:\n\n{own[README]}" if README in own else text
