"""Finds a dataset's folder, and checks where its results go; imports neither RecBole nor pandas."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError, did_you_mean
from recbole_llmfashion.files.changes import check_writable

# categories of `recbole-llmfashion simulate`
SIMULATED = ("luggage_bags", "footwear", "accessories_jewelry", "clothing", "electronics", "toys")


def find_dataset(folder: Path, name: str, option: str = "--dataset") -> Path:
    """Return the folder of a dataset.

    Args:
        folder: <data_path>/<name>.
        name: the dataset's name.
        option: that names it, for messages.

    Raises:
        UserError: there is no such folder; the message names the command that creates it, or the nearest dataset.
    """
    if folder.is_dir():
        return folder
    if name in SIMULATED:
        command = f"recbole-llmfashion simulate --category {name} --users 2000 --seed 1 --out {folder}"
        raise UserError(f"{option}: no folder {folder}; create it with: {command}")
    if advice := _of_recbole(name):
        raise UserError(f"{option}: no folder {folder}; RecBole brings one in another format: {advice}")
    root = folder.parent
    present = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    content = f"{root} contains: {', '.join(present) or 'nothing'}"
    hint = did_you_mean(name, present, did_you_mean(name, SIMULATED, content))
    raise UserError(f"{option}: unknown dataset '{name}'; {hint}")


def _of_recbole(name: str) -> str | None:
    """What to do with a dataset that comes with RecBole; None if there is none of this name."""
    spec = find_spec("recbole")
    if spec is None or spec.origin is None or not name:
        return None
    folder = Path(spec.origin).parent / "dataset_example" / name
    if not folder.is_dir():
        return None
    from recbole_llmfashion.data.atomic.convert_advice import convert_advice
    from recbole_llmfashion.data.atomic.field_names import PACKAGE_NAMES
    from recbole_llmfashion.data.atomic.folder import INTER, ITEM

    return convert_advice(folder, name, INTER, ITEM, PACKAGE_NAMES)


def check_places(keys: Mapping[str, Any], dataset: str, option: str = "--dataset") -> Path:
    """Checks the keys `data_path` and `checkpoint_dir`, before anything is read.

    Args:
        keys: of a model.
        dataset: its name.
        option: that names it, for messages.

    Returns:
        the folder of the dataset.

    Raises:
        UserError: the folder is not there, or stages and run folders cannot be written.
    """
    folder = find_dataset(Path(keys["data_path"]) / dataset, dataset, option)
    check_checkpoint_dir(Path(keys["checkpoint_dir"]), dataset)
    return folder


def check_checkpoint_dir(checkpoint_dir: Path, dataset: str) -> None:
    """Checks that the stages and the run folders of a dataset can be written, before anything trains.

    Raises:
        UserError: they cannot.
    """
    for name in ("stages", "runs"):
        check_writable(checkpoint_dir / dataset / name, "checkpoint_dir")
