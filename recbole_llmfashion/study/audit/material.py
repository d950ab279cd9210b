"""What an audit reads beside the run: the training data, the list of canaries, customers who were left out."""

from dataclasses import dataclass
from pathlib import Path

from recbole_llmfashion.config.keys import todays_names
from recbole_llmfashion.config.layers import dataset_field_keys
from recbole_llmfashion.data.atomic.canaries import CANARIES, Planted, read_canaries
from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.manifest import Manifest

README, SIMULATED = "README.md", "SIMULATED data"
FIELDS = ("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD")


@dataclass(frozen=True)
class Material:
    """The data of an audit; None for what is not there.

    Args:
        folder: the dataset that the run was trained on.
        held_out: customers of the same shop who are not in it.
        planted: its canaries.
    """

    folder: AtomicFolder | None
    held_out: AtomicFolder | None
    planted: Planted | None

    @property
    def simulated(self) -> bool:
        """Whether the data's README.md says that it is simulated."""
        readme = None if self.folder is None else self.folder.path / README
        return readme is not None and readme.is_file() and SIMULATED in readme.read_text("utf-8", errors="replace")


def find_material(manifest: Manifest, dataset: Path | None, held_out: Path | None, canaries: Path | None) -> Material:
    """Reads what is there.

    Args:
        manifest: of the run; its local.json says where the data was.
        dataset: folder of the data, given by the user.
        held_out: folder of other customers, by default the one that canaries.json names.
        canaries: canaries.json, by default the one of the data's folder.

    Raises:
        UserError: a given folder or file is not there or not the run's; the data changed since the run, or
            rows are out of order.
    """
    place = dataset or _place(manifest)
    folder = None if place is None else _read(place, manifest)
    if folder is not None and folder_sha256(folder.path, folder.name) != manifest.content["data"]["sha256"]:
        raise UserError(
            f"--dataset: {folder.path} has other rows than the data that {manifest.folder} was trained on; give that "
            "data, or train again"
        )
    if folder is not None:
        check_clean(folder)
    listed = canaries or (folder.path / CANARIES if folder is not None else None)
    planted = read_canaries(listed) if listed is not None and (canaries is not None or listed.is_file()) else None
    beside = held_out
    if beside is None and planted is not None and planted.held_out and folder is not None:
        beside = folder.path.resolve().parent / planted.held_out
        beside = beside if beside.is_dir() else None
    others = None if beside is None else _read(beside, manifest)
    if others is not None:
        check_clean(others)
    return Material(folder, others, planted)


def _place(manifest: Manifest) -> Path | None:
    path = manifest.local.get("data_path")
    place = Path(str(path)) / str(manifest.content["dataset"]) if path else None
    return place if place is not None and place.is_dir() else None


def _read(place: Path, manifest: Manifest) -> AtomicFolder:
    given = todays_names(manifest.content.get("keys", {}))
    own = {key: str(given[key]) for key in FIELDS if key in given}
    return read_folder(place, names=FieldNames.of(dataset_field_keys(place, [], own)), show_progress=True)


def check_products(planted: Planted, items: set[str], manifest: Manifest) -> None:
    """Refuses a list of canaries of another dataset.

    Raises:
        UserError: a product is not in the run's catalogue.
    """
    unknown = sorted(planted.items - items)
    if unknown:
        raise UserError(
            f"--canaries: {manifest.folder} does not know the product {unknown[0]}; give the canaries.json of the "
            "dataset that it was trained on"
        )
