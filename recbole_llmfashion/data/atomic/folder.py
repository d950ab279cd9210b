"""Reads a dataset's folder of atomic files (`.inter`, `.search`, `.item`) into three frames; writer.py writes it.

Reading keeps every click of the log; the click filter is applied later (data/dataset.py). Columns of the frames have
the names of the package, whatever names the files have (data/atomic/field_names.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_llmfashion.data.atomic import checks
from recbole_llmfashion.data.atomic.convert_advice import convert_advice
from recbole_llmfashion.data.atomic.field_names import PACKAGE_NAMES, FieldNames
from recbole_llmfashion.data.atomic.row_order import order_errors
from recbole_llmfashion.data.atomic.table import (
    AtomicError,
    Report,
    TableSpec,
    column_types,
    raise_error,
    read_table,
)
from recbole_llmfashion.errors import nearest_name
from recbole_llmfashion.files.changes import reading

__all__ = [
    "ACTIONS",
    "ITEM_ATTRIBUTES",
    "OPTIONAL_ITEM_COLUMNS",
    "AtomicError",
    "AtomicFolder",
    "check_clean",
    "empty_searches",
    "item_columns",
    "read_folder",
    "scan_folder",
]

ACTIONS = ("click", "purchase")
ITEM_ATTRIBUTES = ("brand", "color", "size", "category")
OPTIONAL_ITEM_COLUMNS = {"season": "token", "occasion": "token", "price": "float", "available_from": "float"}
COLUMN_TYPES = ("token", "token_seq", "float", "float_seq")  # RecBole's

INTER = TableSpec(
    ".inter",
    {"user_id": "token", "item_id": "token", "action": "token", "timestamp": "float"},
    {},
    assumed={"action": "purchase"},
)
SEARCH = TableSpec(".search", {"user_id": "token", "timestamp": "float", "query": "token", "results": "token_seq"}, {})
ITEM = TableSpec(
    ".item", dict.fromkeys(("item_id", "title", *ITEM_ATTRIBUTES), "token"), OPTIONAL_ITEM_COLUMNS, COLUMN_TYPES
)
SPECS = (INTER, SEARCH, ITEM)
RECBOLE_SUFFIXES = (".user", ".kg", ".link", ".net", ".ent")  # of RecBole's further files, which nothing reads


@dataclass(frozen=True)
class AtomicFolder:
    """The files `<path>/<name>.inter`, `.search` and `.item` as frames, one row per line, in file order, RangeIndex.

    Args:
        name: name of the dataset.
        path: its folder.
        interactions: user_id, item_id, action (click or purchase) str; timestamp float64, seconds.
        searches: user_id str; timestamp float64, seconds; query str; results str (item ids in the order in which they
            were shown, separated by spaces, "" for none). No rows if there is no `.search` file.
        items: item_id, title, brand, color, size, category str ("" if empty), and the optional columns of the file:
            season, occasion str; price, available_from float64 (NaN if empty). Further columns follow, as str.
        further: further columns of items -> RecBole type.
        names: the names that the files have for user_id, item_id and timestamp.
    """

    name: str
    path: Path
    interactions: pd.DataFrame
    searches: pd.DataFrame
    items: pd.DataFrame
    further: Mapping[str, str] = field(default_factory=dict)
    names: FieldNames = PACKAGE_NAMES

    @property
    def item_types(self) -> dict[str, str]:
        """The columns of items -> RecBole type."""
        types = ITEM.types | dict(self.further)
        return {column: types[column] for column in self.items.columns}


def item_columns(path: Path, name: str, names: FieldNames = PACKAGE_NAMES) -> dict[str, str]:
    """The columns of a dataset's `.item` file -> RecBole type, item_id and title included.

    Args:
        path: the dataset's folder.
        name: name of the dataset.
        names: the names that its files have for user_id, item_id and timestamp.

    Raises:
        AtomicError: the file does not exist, or its header has an error.
    """
    try:
        if not (path / (name + ITEM.suffix)).is_file():
            raise AtomicError(path, name + ITEM.suffix, None, None, f"this file in {path}", "none")
        return _item_types(path, name, names)
    except AtomicError as error:
        _advise(error, path, name, names)
        raise


def _item_types(path: Path, name: str, names: FieldNames) -> dict[str, str]:
    in_package = {ours: own for own, ours in names.in_file(ITEM).items()}
    types = column_types(path, name, names.spec(ITEM))
    return {in_package.get(column, column): kind for column, kind in types.items()}


def _advise(error: AtomicError, folder: Path, name: str, names: FieldNames) -> None:
    """Completes what an error says to do, for this dataset."""
    error.options = names.options
    if error.line == 1 and error.file != name + SEARCH.suffix:
        error.instead = convert_advice(folder, name, INTER, ITEM, names)


def read_folder(
    folder: Path, name: str | None = None, show_progress: bool = False, names: FieldNames = PACKAGE_NAMES
) -> AtomicFolder:
    """Read a dataset and check every cell. The order of rows is checked by `check_clean`.

    Args:
        folder: the directory.
        name: name of the dataset, by default the directory's name.
        show_progress: whether to show a progress bar.
        names: the names that the files have for user_id, item_id and timestamp.

    Raises:
        AtomicError: for the first error, with file, line, column and what was expected.
    """
    atomic = scan_folder(folder, raise_error, name, show_progress, names)
    assert atomic is not None  # raise_error raises before scan_folder could return None
    return atomic


def scan_folder(
    folder: Path,
    report: Report,
    name: str | None = None,
    show_progress: bool = False,
    names: FieldNames = PACKAGE_NAMES,
) -> AtomicFolder | None:
    """Read a dataset and call `report` with every error; other arguments as in `read_folder`.

    Returns:
        the dataset, or None if there was an error.

    Raises:
        UserError: another command changed the files meanwhile.
    """
    name = name or folder.resolve().name
    with reading(folder, file_names(name)):
        return _Scan(folder, name, names, report).read(show_progress)


def file_names(name: str) -> list[str]:
    """The names of the three files of a dataset, of which `.search` may not exist."""
    return [name + spec.suffix for spec in SPECS]


class _Scan:
    """One reading of a folder.

    Args:
        folder, name, names, report: as in `scan_folder`.
    """

    def __init__(self, folder: Path, name: str, names: FieldNames, report: Report) -> None:
        self._folder, self._name, self._names, self._report = folder, name, names, report
        self._n_errors = 0

    def read(self, show_progress: bool) -> AtomicFolder | None:
        """The dataset; None after an error."""
        folder, name = self._folder, self._name
        if folder.is_file():
            advice = f"give the folder {folder.parent}"
            self._count(AtomicError(folder, folder.name, None, None, "a folder", "a file", instead=advice))
            return None
        if not folder.is_dir():
            beside = (p.name for p in folder.parent.iterdir()) if folder.parent.is_dir() else ()
            near = nearest_name(folder.name, beside)
            found = "no such folder" + (f"; the nearest is {folder.parent / near}" if near else "")
            self._count(AtomicError(folder, name + INTER.suffix, None, None, f"this file in {folder}", found))
            return None
        present = [spec for spec in SPECS if self._exists(spec)]
        raw: dict[str, pd.DataFrame | None] = {}
        for spec in tqdm(present, desc=f"reading {name}", unit="file", disable=not show_progress):
            raw[spec.suffix] = self._table(spec)
        item_raw, inter_raw, search_raw = (raw.get(spec.suffix) for spec in (ITEM, INTER, SEARCH))
        types = {} if item_raw is None else _item_types(folder, name, self._names)
        further = {column: kind for column, kind in types.items() if column not in ITEM.types}
        items = None if item_raw is None else self._items(item_raw, further)
        item_ids = None if items is None else items["item_id"]
        interactions = None if inter_raw is None else self._interactions(inter_raw, item_ids)
        searches = empty_searches() if search_raw is None else self._searches(search_raw, item_ids)
        if self._n_errors or interactions is None or items is None:
            return None
        return AtomicFolder(name, folder, interactions, searches, items, further, self._names)

    def _count(self, error: AtomicError) -> None:
        self._n_errors += 1
        _advise(error, self._folder, self._name, self._names)
        self._report(error)

    def _exists(self, spec: TableSpec) -> bool:
        """Whether the file exists; reports a missing required file, and a `.search` file with a misspelled name."""
        folder, file = self._folder, self._name + spec.suffix
        if (folder / file).is_file():
            return True
        own = file_names(self._name)
        # names with a dot are temporary files of a command that writes
        others = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name not in own and p.name[0] != ".")
        if spec is SEARCH:
            suffixes = [spec.suffix for spec in SPECS]
            foreign = [o for o in others if Path(o).suffix not in RECBOLE_SUFFIXES]
            alike = [o for o in foreign if nearest_name(Path(o).suffix, suffixes) == SEARCH.suffix]
            if alike:
                self._count(AtomicError(folder, file, None, None, "this name, or no search file", alike[0]))
            return False
        near = nearest_name(file, [o for o in others if Path(o).suffix == spec.suffix] or others)
        found = f"none; the nearest is {near}" if near else "none"
        self._count(AtomicError(folder, file, None, None, f"this file in {folder}", found))
        return False

    def _table(self, spec: TableSpec) -> pd.DataFrame | None:
        """The cells of a file under the columns of the package; None after an error."""
        frame = read_table(self._folder, self._name, self._names.spec(spec), self._count)
        in_package = {ours: own for own, ours in self._names.in_file(spec).items()}
        return None if frame is None else frame.rename(columns=in_package)

    def _cells(self, spec: TableSpec, raw: pd.DataFrame) -> Callable[[str], checks.Cells]:
        """A column of the package -> its cells."""
        file, in_file = self._name + spec.suffix, self._names.in_file(spec)
        return lambda column: checks.Cells(self._folder, file, in_file.get(column, column), raw[column], self._count)

    def _items(self, raw: pd.DataFrame, further: Mapping[str, str]) -> pd.DataFrame:
        cells = self._cells(ITEM, raw)
        checks.check_ids(cells("item_id"))
        checks.check_unique(cells("item_id"))
        checks.check_filled(cells("title"), "a title")
        for column, kind in further.items():
            if kind == "float":
                checks.numbers(cells(column), "a finite number, or an empty cell", may_be_empty=True)
        numbers = {}
        if "price" in raw.columns:
            numbers["price"] = checks.numbers(cells("price"), "a finite number, or an empty cell", may_be_empty=True)
        if "available_from" in raw.columns:
            numbers["available_from"] = checks.days_on_sale(cells("available_from"))
        return raw.assign(**numbers)

    def _interactions(self, raw: pd.DataFrame, item_ids: pd.Series | None) -> pd.DataFrame:
        cells = self._cells(INTER, raw)
        checks.check_ids(cells("user_id"))
        checks.check_ids(cells("item_id"))
        if item_ids is not None:
            checks.check_item_exists(cells("item_id"), item_ids, self._name + ITEM.suffix)
        checks.check_one_of(cells("action"), ACTIONS)
        return raw.assign(timestamp=checks.times(cells("timestamp")))

    def _searches(self, raw: pd.DataFrame, item_ids: pd.Series | None) -> pd.DataFrame:
        cells = self._cells(SEARCH, raw)
        checks.check_ids(cells("user_id"))
        checks.check_filled(cells("query"), "a query")
        checks.check_results(cells("results"), item_ids, self._name + ITEM.suffix)
        return raw.assign(timestamp=checks.times(cells("timestamp")))


def empty_searches() -> pd.DataFrame:
    """A searches frame without rows.

    >>> empty_searches().columns.tolist()
    ['user_id', 'timestamp', 'query', 'results']
    """
    return pd.DataFrame({c: pd.Series(dtype=float if t == "float" else object) for c, t in SEARCH.required.items()})


def check_clean(folder: AtomicFolder) -> None:
    """Check that rows are in the order of a clean dataset (docs/method.md, "Rows"), as `clean` writes them.

    Raises:
        AtomicError: for the first row out of order, with its line and the command that fixes it.
    """
    for error in order_errors(folder.path, folder.name, folder.interactions, folder.searches, folder.names):
        raise error
