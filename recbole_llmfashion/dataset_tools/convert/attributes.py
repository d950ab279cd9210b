"""Further columns of items that a conversion keeps: the option `--attribute NAME=COLUMN`, and what it cannot keep."""

from collections.abc import Callable, Container, Iterable, Sequence

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.checks import parse_numbers
from recbole_llmfashion.data.atomic.folder import ITEM
from recbole_llmfashion.data.atomic.table import misspelled, quote_cell
from recbole_llmfashion.dataset_tools.statistics import is_empty
from recbole_llmfashion.errors import UserError


def parse_attributes(options: Iterable[str], with_option: Sequence[str] = ()) -> dict[str, str]:
    """The columns of a source that `.item` keeps, name in `.item` -> column of the source.

    Args:
        options: values of --attribute: `NAME=COLUMN`, or `COLUMN` for a column that keeps its name.
        with_option: columns of every `.item` that the command has an option for, for the message.

    Raises:
        UserError: a name twice, or one that `.item` cannot have beside its own columns.

    >>> parse_attributes(["fabric", "pattern=graphical_appearance_name", "rate=a=b"])
    {'fabric': 'fabric', 'pattern': 'graphical_appearance_name', 'rate': 'a=b'}
    """
    columns: dict[str, str] = {}
    for option in options:
        name, equals, column = option.partition("=")
        if name in columns:
            raise UserError(f"--attribute: expected each name once, found {quote_cell(name)} again; leave one out")
        _check_name(name, option, with_option)
        if equals and not column:
            raise UserError(f"--attribute: expected NAME=COLUMN, found {quote_cell(option)} without a column")
        columns[name] = column or name
    for name in columns:
        meant = misspelled(name, [*ITEM.required, *columns], ITEM) if name not in ITEM.types else None
        if meant:
            raise UserError(f"--attribute: {name} is too similar to {meant}, a column of .item; choose another name")
    return columns


def _check_name(name: str, option: str, with_option: Sequence[str]) -> None:
    if name in ITEM.required:
        instead = f"use --{name} COL, or " if name in with_option else ""
        raise UserError(f"--attribute: {name} is a column of every .item; {instead}choose another name as NAME=COLUMN")
    if not name.isidentifier():
        column = quote_cell(option.partition("=")[2] or option).strip("'") or "COLUMN"
        raise UserError(
            f"--attribute: expected a name of letters, digits and _, found {quote_cell(name)}; write NAME={column}"
        )


def empty_attributes(items: pd.DataFrame) -> list[str]:
    """The columns beyond those of every `.item` that no item of an `.item` frame has a value in."""
    others = [name for name in items.columns if name not in ITEM.required]
    return [name for name in others if is_empty(items[name]).all()]


def kept_columns(items: pd.DataFrame, optional: Container[str]) -> pd.DataFrame:
    """An `.item` frame without those of its columns in `optional` that are empty for every item."""
    return items.drop(columns=[name for name in empty_attributes(items) if name in optional])


def attribute_numbers(cells: pd.Series, where: Callable[[int], str] | None = None) -> np.ndarray:
    """The numbers of a column of type float, NaN for empty cells.

    Args:
        cells: of the column, with its name in `.item`.
        where: from a label of the index to the place of its cell, for the message; None if no file is known.

    Raises:
        UserError: a cell is another text.
    """
    numbers = parse_numbers(cells.to_numpy(object))
    for row, cell in cells[~np.isfinite(numbers) & (cells != "").to_numpy()][:1].items():
        place = f"--attribute {cells.name}" if where is None else where(row)
        raise UserError(
            f"{place}: expected a number such as 1299.5 or an empty cell, found {quote_cell(cell)}; correct it, or "
            f"keep the column as text under another name than {cells.name}"
        )
    return numbers
