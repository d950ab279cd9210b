"""A dataset's folder of atomic files (`.inter`, `.search`, `.item`) as three frames, and back, byte for byte.

Knows the files, their columns and what a cell may hold. Does NOT know the split, RecBole, or how rows are mended; every
click of the log is kept, the click filter is an option of loading.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from recbole_llmfashion.data.atomic import checks
from recbole_llmfashion.data.atomic.row_order import order_breaches
from recbole_llmfashion.data.atomic.table import (
    AtomicError,
    Report,
    TableSpec,
    nearest,
    raise_error,
    read_table,
)
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stage_store import write_files

__all__ = [
    "ACTIONS",
    "ITEM_ATTRIBUTES",
    "OPTIONAL_ITEM_COLUMNS",
    "AtomicError",
    "AtomicFolder",
    "check_clean",
    "empty_searches",
    "folder_sha256",
    "read_folder",
    "scan_folder",
    "write_folder",
]

ACTIONS = ("click", "purchase")
ITEM_ATTRIBUTES = ("brand", "color", "size", "category")
OPTIONAL_ITEM_COLUMNS = {"season": "token", "occasion": "token", "price": "float", "available_from": "float"}

INTER = TableSpec(".inter", {"user_id": "token", "item_id": "token", "action": "token", "timestamp": "float"}, {})
SEARCH = TableSpec(".search", {"user_id": "token", "timestamp": "float", "query": "token", "results": "token_seq"}, {})
ITEM = TableSpec(".item", dict.fromkeys(("item_id", "title", *ITEM_ATTRIBUTES), "token"), OPTIONAL_ITEM_COLUMNS)
SPECS = (INTER, SEARCH, ITEM)


@dataclass(frozen=True)
class AtomicFolder:
    """The files `<path>/<name>.inter`, `.search`, `.item`; one row a line, in file order, RangeIndex.

    interactions: user_id, item_id, action (click or purchase) str; timestamp float64, seconds.
    searches: user_id str, timestamp float64, query str, results str (item ids by organic position, separated by
        spaces, "" for none); no rows where there is no such file.
    items: item_id, title, brand, color, size, category str ("" where empty), and the optional columns that exist:
        season, occasion str; price, available_from float64 (NaN where empty).
    """

    name: str
    path: Path
    interactions: pd.DataFrame
    searches: pd.DataFrame
    items: pd.DataFrame


def read_folder(folder: Path, name: str | None = None, show_progress: bool = False) -> AtomicFolder:
    """Read and check every cell of a dataset; its order of rows is `check_clean`'s.

    Args:
        folder: the directory; name: of the dataset, the directory's by default.

    Raises:
        AtomicError: for the first fault, with file, line, column and what was expected.
    """
    found = scan_folder(folder, raise_error, name, show_progress)
    assert found is not None  # raise_error leaves no way to None
    return found


def scan_folder(
    folder: Path, report: Report, name: str | None = None, show_progress: bool = False
) -> AtomicFolder | None:
    """`read_folder` with every fault handed to `report`; None where one was reported."""
    name = name or folder.resolve().name
    faults = 0

    def count(error: AtomicError) -> None:
        nonlocal faults
        faults += 1
        report(error)

    if not folder.is_dir():
        near = nearest(folder.name, (p.name for p in folder.parent.iterdir())) if folder.parent.is_dir() else None
        found = "no such folder" + (f"; the nearest is {folder.parent / near}" if near else "")
        report(AtomicError(folder, name + INTER.suffix, None, None, f"this file in {folder}", found))
        return None
    present = [spec for spec in SPECS if _exists(folder, name, spec, count)]
    raw: dict[str, pd.DataFrame | None] = {}
    for spec in tqdm(present, desc=f"reading {name}", unit="file", disable=not show_progress):
        raw[spec.suffix] = read_table(folder, name, spec, count)
    item_raw = raw.get(ITEM.suffix)
    items = None if item_raw is None else _check_items(folder, name, item_raw, count)
    known = None if items is None else items["item_id"]
    inter_raw, search_raw = raw.get(INTER.suffix), raw.get(SEARCH.suffix)
    interactions = None if inter_raw is None else _check_interactions(folder, name, inter_raw, known, count)
    searches = empty_searches() if search_raw is None else _check_searches(folder, name, search_raw, known, count)
    if faults or interactions is None or items is None:
        return None
    return AtomicFolder(name, folder, interactions, searches, items)


def empty_searches() -> pd.DataFrame:
    """The searches of a dataset that has none."""
    return pd.DataFrame({c: pd.Series(dtype=float if t == "float" else object) for c, t in SEARCH.required.items()})


def _exists(folder: Path, name: str, spec: TableSpec, report: Report) -> bool:
    """Whether the file is there; a required one that is not, or a `.search` under another name, is a fault."""
    file = name + spec.suffix
    if (folder / file).is_file():
        return True
    others = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name not in {name + s.suffix for s in SPECS})
    if spec is SEARCH:
        alike = [o for o in others if nearest(Path(o).suffix, [s.suffix for s in SPECS]) == SEARCH.suffix]
        if alike:
            report(AtomicError(folder, file, None, None, "this name, or no search file", alike[0]))
        return False
    near = nearest(file, [o for o in others if Path(o).suffix == spec.suffix] or others)
    found = f"none; the nearest is {near}" if near else "none"
    report(AtomicError(folder, file, None, None, f"this file in {folder}", found))
    return False


def _check_items(folder: Path, name: str, raw: pd.DataFrame, report: Report) -> pd.DataFrame:
    def cells(column: str) -> checks.Cells:
        return checks.Cells(folder, name + ITEM.suffix, column, raw[column], report)

    checks.check_ids(cells("item_id"))
    checks.check_unique(cells("item_id"))
    checks.check_filled(cells("title"), "a title")
    floats = [c for c in raw.columns if ITEM.types[c] == "float"]
    return raw.assign(
        **{c: checks.numbers(cells(c), "a finite number, or an empty cell", may_be_empty=True) for c in floats}
    )


def _check_interactions(
    folder: Path, name: str, raw: pd.DataFrame, known: pd.Series | None, report: Report
) -> pd.DataFrame:
    def cells(column: str) -> checks.Cells:
        return checks.Cells(folder, name + INTER.suffix, column, raw[column], report)

    checks.check_ids(cells("user_id"))
    checks.check_ids(cells("item_id"))
    if known is not None:
        checks.check_known(cells("item_id"), known, name + ITEM.suffix)
    checks.check_one_of(cells("action"), ACTIONS)
    return raw.assign(timestamp=_times(cells("timestamp")))


def _check_searches(
    folder: Path, name: str, raw: pd.DataFrame, known: pd.Series | None, report: Report
) -> pd.DataFrame:
    def cells(column: str) -> checks.Cells:
        return checks.Cells(folder, name + SEARCH.suffix, column, raw[column], report)

    checks.check_ids(cells("user_id"))
    checks.check_filled(cells("query"), "a query")
    checks.check_results(cells("results"), known, name + ITEM.suffix)
    return raw.assign(timestamp=_times(cells("timestamp")))


def _times(cells: checks.Cells) -> np.ndarray:
    return checks.numbers(cells, "a number of seconds, finite and not negative", at_least=0.0)


def check_clean(folder: AtomicFolder) -> None:
    """Check the order of rows that docs/method.md's cleaning leaves behind.

    Raises:
        UserError: for the first breach, with its line and the command that mends it.
    """
    for breach in order_breaches(folder.path, folder.name, folder.interactions, folder.searches):
        raise breach


def write_folder(folder: AtomicFolder) -> None:
    """Write the dataset's files, the inverse of `read_folder`: the same frames give the same bytes.

    All files are written beside their places first, then moved there one by one, so that a full disk or a kill leaves
    the old ones. Without searches there is no `.search`: one that is there is removed.

    Raises:
        UserError: if a file cannot be written.
        ValueError: if a cell holds a tab, a line end or a NUL byte.
    """
    tables = ((INTER, folder.interactions), (SEARCH, folder.searches), (ITEM, folder.items))
    files = (
        (folder.path / (folder.name + spec.suffix), _table_bytes(frame, spec))
        for spec, frame in tables
        if not (spec is SEARCH and frame.empty)
    )
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        write_files(files)
        if folder.searches.empty:
            (folder.path / (folder.name + SEARCH.suffix)).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder.path}: cannot write ({error.strerror}); free space or choose another folder"
        ) from error


def _table_bytes(frame: pd.DataFrame, spec: TableSpec) -> bytes:
    columns = [c for c in spec.types if c in spec.required or c in frame.columns]
    texts = [_number_texts(frame[c]) if spec.types[c] == "float" else frame[c].tolist() for c in columns]
    lines = ["\t".join(f"{c}:{spec.types[c]}" for c in columns), *map("\t".join, zip(*texts, strict=True))]
    text = "\n".join(lines) + "\n"
    foreign = text.count("\n") != len(frame) + 1 or text.count("\t") != (len(frame) + 1) * (len(columns) - 1)
    if foreign or "\r" in text or "\0" in text:
        raise ValueError(f"a cell of the {spec.suffix} frame holds a tab, a line end or a NUL byte")
    return text.encode("utf-8")


def _number_texts(values: pd.Series) -> Iterator[str]:
    # float.__repr__ is the shortest text that reads back as the same float64; ".0" is left out as it says nothing
    return ("" if v != v else repr(v).removesuffix(".0") for v in values.astype(float).tolist())


def folder_sha256(path: Path, name: str) -> str:
    """SHA-256, hexadecimal, over the marked bytes of `.inter`, `.search`, `.item`; an absent file counts as empty."""
    digest = hashlib.sha256()
    for spec in SPECS:
        file = path / (name + spec.suffix)
        digest.update(f"\0{spec.suffix}\0".encode())
        if file.is_file():
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
