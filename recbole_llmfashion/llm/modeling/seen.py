"""Which datasets a backbone has seen in its pre-training: seen.json in its folder."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json

SEEN_FILE = "seen.json"


@dataclass(frozen=True)
class SeenDataset:
    """A dataset whose training rows a backbone has seen.

    Args:
        name: of the dataset.
        data_sha256: digest of its files, as tables of results print it.
        training_sha256: digest of the rows that were read.
        users, actions: number of users and of item actions that were read.
    """

    name: str
    data_sha256: str
    training_sha256: str
    users: int
    actions: int


def save_seen(seen: Sequence[SeenDataset], folder: Path) -> None:
    """Writes seen.json to a backbone's folder."""
    text = json.dumps({"datasets": [asdict(one) for one in seen]}, indent=1, ensure_ascii=False)
    (folder / SEEN_FILE).write_text(f"{text}\n", encoding="utf-8")


def read_seen(source: str) -> list[SeenDataset]:
    """What a backbone has seen; none if it is no folder or has no such file.

    Args:
        source: a folder or a name of the hub.

    Raises:
        UserError: the file cannot be read, or has another form.
    """
    file = Path(source) / SEEN_FILE
    if not file.is_file():
        return []
    try:
        return [SeenDataset(**entry) for entry in parse_json(file.read_text(encoding="utf-8"))["datasets"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file}: cannot be read as the list of datasets that a backbone has seen ({error})") from error
