"""Checks of the cells of one column of an atomic file.

Python loops run over distinct values or over wrong rows only. Knows columns of strings; does NOT know how a file is
read, which files make a dataset, or in which order rows must stand.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.data.atomic.table import ROWS_PER_KIND, AtomicError, Report, shown

MAX_RESULTS = 8
ID_BREAK = re.compile(r"[\s,]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_IN_NUMBERS = re.compile(r"[^0-9.eE+\-\n]")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """One column of one file as strings, able to say where it is wrong."""

    folder: Path
    file: str
    column: str
    values: pd.Series
    report: Report

    def refuse(self, bad: Mask, expected: str, found: dict[int, str] | None = None) -> None:
        """Report the first rows of `bad`, [n_rows] bool; `found` maps a row to what to say instead of its cell."""
        rows = np.flatnonzero(bad)
        for index, row in enumerate(rows[:ROWS_PER_KIND]):
            what = (found or {}).get(int(row)) or shown(self.values.iloc[row])
            error = AtomicError(
                self.folder, self.file, int(row) + 2, self.column, expected, what, first_of_kind=index == 0
            )
            self.report(error)


def _where(values: pd.Series, is_bad: re.Pattern[str] | None) -> tuple[Mask, Mask]:
    """(empty, matched by `is_bad`) for each row, decided once for each distinct value."""
    codes, distinct = pd.factorize(values)
    empty = np.fromiter((not v.strip() for v in distinct), dtype=bool, count=len(distinct))
    hit = np.fromiter((bool(is_bad and is_bad.search(v)) for v in distinct), dtype=bool, count=len(distinct))
    return empty[codes], hit[codes]


def check_ids(cells: Cells) -> None:
    """Ids are not empty and hold no white space (of any script) and no comma."""
    empty, broken = _where(cells.values, ID_BREAK)
    cells.refuse(empty, "an id that is not empty")
    cells.refuse(broken & ~empty, "an id without white space or comma")


def check_filled(cells: Cells, what: str) -> None:
    """`what` (a title, a query) holds more than white space."""
    cells.refuse(_where(cells.values, None)[0], f"{what} that is not empty")


def check_unique(cells: Cells) -> None:
    """Each id stands in one row; the finding names the first line that has it."""
    bad = cells.values.duplicated().to_numpy()
    found = {}
    for row in np.flatnonzero(bad)[:ROWS_PER_KIND]:
        value = cells.values.iloc[row]
        found[int(row)] = f"{shown(value)} again (first in line {int((cells.values == value).to_numpy().argmax()) + 2})"
    cells.refuse(bad, "each item id once", found)


def check_one_of(cells: Cells, allowed: tuple[str, ...]) -> None:
    """Cells are among `allowed`."""
    cells.refuse(~cells.values.isin(allowed).to_numpy(), " or ".join(allowed))


def check_known(cells: Cells, known: pd.Series, home: str) -> None:
    """Ids are among `known`, the ids of the file `home`; empty ids are another check's."""
    cells.refuse(((cells.values != "") & ~cells.values.isin(known)).to_numpy(), f"an item id of {home}")


def check_results(cells: Cells, known: pd.Series | None, home: str) -> None:
    """At most eight ids of `known` (None: not checked), separated by single spaces; an empty cell is no ids."""
    filled = np.flatnonzero((cells.values != "").to_numpy())
    lists = [cell.split(" ") for cell in cells.values.iloc[filled]]
    lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    shown_items = pd.Series([item for one in lists for item in one], dtype=object)
    rows = np.repeat(filled, lengths)
    n_rows = len(cells.values)
    cells.refuse(np.isin(np.arange(n_rows), filled[lengths > MAX_RESULTS]), f"at most {MAX_RESULTS} item ids")
    empty, broken = _where(shown_items, ID_BREAK)
    spaced = np.bincount(rows[empty | broken], minlength=n_rows) > 0
    cells.refuse(spaced, "item ids separated by single spaces")
    if known is not None:
        absent = ~shown_items.isin(known).to_numpy() & ~empty & ~broken
        first = dict(zip(reversed(rows[absent]), map(shown, reversed(shown_items[absent].tolist())), strict=True))
        cells.refuse(np.bincount(rows[absent], minlength=n_rows) > 0, f"item ids of {home}", first)


def numbers(cells: Cells, expected: str, at_least: float | None = None, may_be_empty: bool = False) -> NDArray[Any]:
    """Cells as float64, [n_rows]; NaN where empty (if it may be) and where refused."""
    text = cells.values
    empty = (text == "").to_numpy() if may_be_empty else np.zeros(len(text), dtype=bool)
    values = np.full(len(text), np.nan)
    filled = text.to_numpy(dtype=object)[~empty]
    values[~empty] = parse_numbers(filled)
    # + 0.0 folds a negative zero, which would be written as another byte
    values = values + 0.0
    bad = ~np.isfinite(values) & ~empty
    if at_least is not None:
        bad |= values < at_least
    cells.refuse(bad, expected)
    return values


def parse_numbers(text: NDArray[Any]) -> NDArray[Any]:
    """Decimal numbers as float64, correctly rounded; NaN for whatever is none ("nan", "inf", "1_0", " 1" are none)."""
    try:
        # one scan for foreign characters lets float() be trusted with the rest at full speed
        if not _NOT_IN_NUMBERS.search("\n".join(text)):
            return text.astype(np.float64)
    except ValueError:
        pass
    return np.fromiter((float(t) if _NUMBER.fullmatch(t) else np.nan for t in text), dtype=np.float64, count=len(text))
