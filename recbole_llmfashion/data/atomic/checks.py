"""Checks of the cells of one column of an atomic file; each reports the first wrong rows.

Python loops run over distinct values or over wrong rows only.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.data.atomic.table import ROWS_PER_KIND, AtomicError, Report, quote_cell
from recbole_llmfashion.data.atomic.times import LATEST, RANGE, UNITS, guess, likely_unit

MAX_RESULTS = 8
ID_BREAK = re.compile(r"[\s,]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_IN_NUMBERS = re.compile(r"[^0-9.eE+\-\n]")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """One column of one file.

    Args:
        folder: the dataset's folder.
        file: name of the file.
        column: name of the column.
        values: [n_rows] cells as strings.
        report: called with each error.
    """

    folder: Path
    file: str
    column: str
    values: pd.Series
    report: Report

    def refuse(self, bad: Mask, expected: str, found: dict[int, str] | None = None) -> None:
        """Report the first wrong rows.

        Args:
            bad: [n_rows] bool.
            expected: phrase for the message.
            found: row -> phrase for the message, instead of the row's cell.
        """
        rows = np.flatnonzero(bad)
        for index, row in enumerate(rows[:ROWS_PER_KIND]):
            phrase = (found or {}).get(int(row)) or quote_cell(self.values.iloc[row])
            place = (self.folder, self.file, int(row) + 2, self.column)
            self.report(AtomicError(*place, expected, phrase, first_of_kind=index == 0, alike=len(rows)))


def _empty_and_matching(values: pd.Series, is_bad: re.Pattern[str] | None) -> tuple[Mask, Mask]:
    """(cell is blank, cell matches `is_bad`) for each row, computed once per distinct value."""
    codes, distinct = pd.factorize(values)
    empty = np.fromiter((not v.strip() for v in distinct), dtype=bool, count=len(distinct))
    hit = np.fromiter((bool(is_bad and is_bad.search(v)) for v in distinct), dtype=bool, count=len(distinct))
    return empty[codes], hit[codes]


def check_ids(cells: Cells) -> None:
    """Ids are not empty and contain no Unicode white space and no comma."""
    empty, broken = _empty_and_matching(cells.values, ID_BREAK)
    cells.refuse(empty, "an id that is not empty")
    cells.refuse(broken & ~empty, "an id without white space or comma")


def check_filled(cells: Cells, what: str) -> None:
    """Cells contain more than white space; `what` names a cell in the message, such as "a title"."""
    cells.refuse(_empty_and_matching(cells.values, None)[0], f"{what} that is not empty")


def check_unique(cells: Cells) -> None:
    """Each id occurs in one row; the message names the first line with the id."""
    bad = cells.values.duplicated().to_numpy()
    found = {}
    for row in np.flatnonzero(bad)[:ROWS_PER_KIND]:
        value = cells.values.iloc[row]
        first_line = int((cells.values == value).to_numpy().argmax()) + 2
        found[int(row)] = f"{quote_cell(value)} again (first in line {first_line})"
    cells.refuse(bad, "each item id once", found)


def check_one_of(cells: Cells, allowed: tuple[str, ...]) -> None:
    """Cells are one of the `allowed` values."""
    cells.refuse(~cells.values.isin(allowed).to_numpy(), " or ".join(allowed))


def check_item_exists(cells: Cells, item_ids: pd.Series, item_file: str) -> None:
    """Ids are among `item_ids`, the ids of `item_file`; empty ids are left to `check_ids`."""
    cells.refuse(((cells.values != "") & ~cells.values.isin(item_ids)).to_numpy(), f"an item id of {item_file}")


def check_results(cells: Cells, item_ids: pd.Series | None, item_file: str) -> None:
    """Cells are at most eight item ids, separated by single spaces; an empty cell means no results.

    Args:
        cells: the column.
        item_ids: the ids of `item_file`; None skips the check that they exist.
        item_file: name for the message.
    """
    filled = np.flatnonzero((cells.values != "").to_numpy())
    lists = [cell.split(" ") for cell in cells.values.iloc[filled]]
    lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    results = pd.Series([item for row in lists for item in row], dtype=object)
    rows = np.repeat(filled, lengths)
    n_rows = len(cells.values)
    cells.refuse(np.isin(np.arange(n_rows), filled[lengths > MAX_RESULTS]), f"at most {MAX_RESULTS} item ids")
    empty, broken = _empty_and_matching(results, ID_BREAK)
    spaced = np.bincount(rows[empty | broken], minlength=n_rows) > 0
    cells.refuse(spaced, "item ids separated by single spaces")
    if item_ids is not None:
        absent = ~results.isin(item_ids).to_numpy() & ~empty & ~broken
        first = dict(zip(reversed(rows[absent]), map(quote_cell, reversed(results[absent].tolist())), strict=True))
        cells.refuse(np.bincount(rows[absent], minlength=n_rows) > 0, f"item ids of {item_file}", first)


def times(cells: Cells) -> NDArray[Any]:
    """Parse cells as seconds since 1970 that the calendar can use, as in `numbers`."""
    return numbers(cells, f"a number of {RANGE}", at_least=0.0, below=LATEST)


def days_on_sale(cells: Cells) -> NDArray[Any]:
    """Parse cells as seconds, which may be before 1970, or empty."""
    expected = "a number of seconds, from -1e11 to 1e11, or an empty cell"
    return numbers(cells, expected, at_least=-LATEST, below=LATEST, may_be_empty=True)


def numbers(
    cells: Cells,
    expected: str,
    at_least: float | None = None,
    may_be_empty: bool = False,
    below: float | None = None,
) -> NDArray[Any]:
    """Parse cells as finite decimal numbers and report the others.

    Args:
        cells: the column.
        expected: phrase for the message.
        at_least: smallest value allowed.
        may_be_empty: whether an empty cell is allowed.
        below: the first time that is too large; the message says which unit such a number probably has.

    Returns:
        [n_rows] float64, NaN for empty and for wrong cells.
    """
    text = cells.values
    empty = (text == "").to_numpy() if may_be_empty else np.zeros(len(text), dtype=bool)
    values = np.full(len(text), np.nan)
    filled = text.to_numpy(dtype=object)[~empty]
    values[~empty] = parse_numbers(filled)
    # + 0.0 turns -0.0 into 0.0, so that both are written as the same bytes
    values = values + 0.0
    bad = ~np.isfinite(values) & ~empty
    if at_least is not None:
        bad |= values < at_least
    found: dict[int, str] = {}
    if below is not None:
        bad |= values >= below
        for row in np.flatnonzero(bad)[:ROWS_PER_KIND].tolist():
            unit = likely_unit(float(values[row]))
            if unit is not None:
                cell = quote_cell(cells.values.iloc[row])
                found[row] = f"{cell}, {guess(float(values[row]))}: divide the column by {UNITS[unit]:,.0f}"
    cells.refuse(bad, expected, found)
    return values


def parse_numbers(text: NDArray[Any]) -> NDArray[Any]:
    """Parse decimal numbers, correctly rounded.

    Args:
        text: [n] strings.

    Returns:
        [n] float64, NaN for texts that are not decimal numbers.

    >>> parse_numbers(np.array(["1.5", "-2e3", "nan", "1_0", " 1"], dtype=object)).tolist()
    [1.5, -2000.0, nan, nan, nan]
    """
    try:
        # float() also accepts "nan", "1_0" and " 1"; without such characters the fast conversion is safe
        if not _NOT_IN_NUMBERS.search("\n".join(text)):
            return text.astype(np.float64)
    except ValueError:
        pass
    return np.fromiter((float(t) if _NUMBER.fullmatch(t) else np.nan for t in text), dtype=np.float64, count=len(text))
