"""What to do with a folder of RecBole's own format: the command that makes a dataset of it, by the headers alone.

RecBole's datasets have ratings and features, and often texts under names of their own; this package needs a title.
"""

import shlex
from pathlib import Path

from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.table import TableSpec, misspelled

_TEXT = ("token", "token_seq")
_LIKE_A_TITLE = ("title", "name")
_ATTRIBUTES = ("brand", "color", "size", "category")


def convert_advice(folder: Path, name: str, inter: TableSpec, item: TableSpec, names: FieldNames) -> str | None:
    """The end of an error message about a file of RecBole's own format; None if the folder has another format.

    Args:
        folder: of the dataset.
        name: of the dataset.
        inter, item: the columns of its files under the names of the package.
        names: the names that its files have for user_id, item_id and timestamp.
    """
    actions = _header(folder / f"{name}{inter.suffix}")
    items = _header(folder / f"{name}{item.suffix}")
    if not {names.user, names.item, names.time} <= actions.keys() or names.item not in items:
        return None
    texts = [column for column, kind in items.items() if kind in _TEXT and column not in (names.item, *_ATTRIBUTES)]
    if not texts or not (_has_other_columns(actions, names.spec(inter)) or _lacks_title(items, names.spec(item))):
        return None
    titles = ["title"] if "title" in texts else [c for c in texts if any(word in c.lower() for word in _LIKE_A_TITLE)]
    columns = {"title": titles[0] if len(titles) == 1 else "COL"}
    columns |= {column: column for column in _ATTRIBUTES if items.get(column) in _TEXT}
    own = {"user": "user_id", "item": "item_id", "time": "timestamp"}
    columns |= {
        option: names.file_column(column) for option, column in own.items() if names.file_column(column) != column
    }
    columns |= {"action": "action"} if actions.get("action") in _TEXT else {}
    options = [word for option, column in columns.items() for word in (f"--{option}", column)]
    out = f"dataset/{name}_text"
    command = shlex.join(["recbole-llmfashion", "convert", "recbole", str(folder), *options, "--out", out])
    choice = "" if len(titles) == 1 else f", where COL is {' or '.join(titles or texts)}"
    return f"make a dataset of this RecBole folder with `{command}`{choice}, and run --dataset={name}_text"


def _header(file: Path) -> dict[str, str]:
    """Column -> type; nothing if the file is not there or has another format."""
    if not file.is_file():
        return {}
    with file.open("rb") as stream:
        line = stream.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
    return {column: kind for column, colon, kind in (cell.partition(":") for cell in line.split("\t")) if colon}


def _has_other_columns(columns: dict[str, str], spec: TableSpec) -> bool:
    """Whether a file has a column that the format does not have, and that is no misspelled one."""
    others = [column for column in columns if column not in spec.types]
    return bool(others) and not any(misspelled(column, list(columns), spec) for column in others)


def _lacks_title(columns: dict[str, str], spec: TableSpec) -> bool:
    others = [column for column in columns if column not in spec.types]
    return "title" not in columns and "title" not in {misspelled(column, list(columns), spec) for column in others}
