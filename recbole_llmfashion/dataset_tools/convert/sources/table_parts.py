"""Converts rows of own tables into interactions, items and searches with the column names of atomic files.

Ids are those of the tables; they are renamed later (convert/finish.py).
"""

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.checks import MAX_RESULTS
from recbole_llmfashion.data.atomic.folder import ITEM
from recbole_llmfashion.data.atomic.table import quote_cell
from recbole_llmfashion.dataset_tools.convert.attributes import attribute_numbers
from recbole_llmfashion.dataset_tools.convert.sources.table_source import Source, as_seconds, as_text
from recbole_llmfashion.errors import UserError

PURCHASE_WORDS = frozenset(["buy", "bought", "purchase", "purchased", "order", "ordered", "transaction", "sale"])
CLICK_WORDS = frozenset(
    ["click", "clicked", "view", "viewed", "pageview", "detail", "cart", "addtocart", "basket", "favorite", "wishlist"]
)
KNOWN_ACTIONS = f"one of {', '.join(sorted(PURCHASE_WORDS))} (purchase) or {', '.join(sorted(CLICK_WORDS))} (click)"
_CELL_BREAK = re.compile(r"[\t\r\n\0]")
_WORD_BREAK = re.compile(r"[\s_\-]+")
_RESULT_BREAK = re.compile(r"[,|]")
_BRACKETS, _QUOTES = ("[]", "()"), ("''", '""')
_YEAR_1971, _YEAR_2100 = 31_536_000.0, 4_102_444_800.0
_FIRST_OF_ORDER = 1_000  # numbers that only give an order begin with 0 or 1


def interactions_of(
    source: Source, user: str, item: str, time: str, action: str | None, notes: list[str], unit: str = "s"
) -> tuple[pd.DataFrame, bool]:
    """Events sorted by user (in the order of their first row), time and file order.

    Args:
        source: the table.
        user, item, time, action: names of columns.
        notes: lines of text about the rows are appended.
        unit: of times that are numbers.

    Returns:
        (frame user_id, item_id, action str, timestamp float64, indexed by row of the source; whether times are dates).

    Raises:
        UserError: a cell is wrong.
    """
    source = _with_user(source, user, notes)
    seconds, dates = as_seconds(source, time, unit)
    notes += time_notes(source.path.name, seconds, dates, unit)
    users, items = as_text(source.frame[user]), as_text(source.frame[item])
    for row in items.index[(items == "").to_numpy()][:1]:
        raise UserError(f"{source.where(row, item)}: expected an item id, found an empty cell; fix or remove the row")
    if action is None:
        actions = pd.Series("purchase", index=items.index, dtype=object)
        notes.append(f"{source.path.name}: no action column, every row is a purchase")
    else:
        actions = _actions(source, action)
    events = pd.DataFrame({"user_id": users, "item_id": items, "action": actions, "timestamp": seconds})
    return events.iloc[np.lexsort((seconds.to_numpy(), pd.factorize(users)[0]))], dates


def items_of(
    source: Source, item: str, title: str, attributes: Mapping[str, str | None], used: pd.Series, notes: list[str]
) -> pd.DataFrame:
    """The catalogue in file order: item_id, title and the attributes.

    Equal rows are one item. Items without an id or a title are left out and counted if they have no interactions.

    Args:
        source: the table.
        item, title: names of columns.
        attributes: attribute -> column, None for empty cells.
        used: item ids of the interactions.
        notes: lines of text about the rows are appended.

    Raises:
        UserError: an item with interactions has no title, an item has two different rows, or a cell is no number.
    """
    columns = {"item_id": as_text(source.frame[item]), "title": _cell(source, title)}
    blank = pd.Series("", index=source.frame.index, dtype=object)
    columns |= {name: blank if column is None else _cell(source, column) for name, column in attributes.items()}
    table = pd.DataFrame(columns)
    repeats = table.duplicated()
    table = table[~repeats]
    if repeats.any():
        notes.append(f"{source.path.name}: {int(repeats.sum()):,} rows that repeat an item left out")
    unusable = (table["title"].str.strip() == "") | (table["item_id"] == "")
    for row in table.index[(unusable & table["item_id"].isin(used)).to_numpy()][:1]:
        item_id = quote_cell(table["item_id"].loc[row])
        raise UserError(f"{source.where(row, title)}: item {item_id} has interactions but no title; add a title")
    if unusable.any():
        notes.append(
            f"{source.path.name}: {int(unusable.sum()):,} items without id or title and without interactions left out"
        )
    table = table[~unusable]
    for row in table.index[table["item_id"].duplicated().to_numpy()][:1]:
        item_id = table["item_id"].loc[row]
        first = source.place(table.index[(table["item_id"] == item_id).to_numpy()][0])
        raise UserError(
            f"{source.where(row, item)}: expected {quote_cell(item_id)} as in {first}, found another row; keep one"
        )
    for name, attribute in attributes.items():
        if attribute is not None and ITEM.types.get(name) == "float":
            attribute_numbers(table[name], partial(source.where, column=attribute))
    return table


def searches_of(
    source: Source, user: str, time: str, query: str, results: str | None, notes: list[str], unit: str = "s"
) -> tuple[pd.DataFrame, bool]:
    """Searches in file order; rows without a user or a query are left out and counted.

    Args:
        source: the table.
        user, time, query, results: names of columns.
        notes: lines of text about the rows are appended.
        unit: of times that are numbers.

    Returns:
        (frame user_id str, timestamp float64, query str, results lists of at most eight str; whether times are dates).
    """
    source = _with_user(source, user, notes)
    text = _cell(source, query)
    has_query = (text.str.strip() != "").to_numpy()
    if not has_query.all():
        notes.append(f"{source.path.name}: {int((~has_query).sum()):,} searches without a query left out")
    source = Source(source.path, source.frame[has_query], source.lines)
    seconds, dates = as_seconds(source, time, unit)
    notes += time_notes(source.path.name, seconds, dates, unit)
    lists: list[list[str]] = [[] for _ in range(len(seconds))] if results is None else _lists(source.frame[results])
    long = sum(len(items) > MAX_RESULTS for items in lists)
    if long:
        notes.append(f"{source.path.name}: {long:,} lists of results cut to their first {MAX_RESULTS}")
    frame = pd.DataFrame({"user_id": as_text(source.frame[user]), "timestamp": seconds, "query": text[has_query]})
    frame["results"] = pd.Series([items[:MAX_RESULTS] for items in lists], index=frame.index, dtype=object)
    return frame, dates


def _with_user(source: Source, user: str, notes: list[str]) -> Source:
    """The rows with a user id; other events belong to no sequence."""
    has_user = (as_text(source.frame[user]).str.strip() != "").to_numpy()
    if not has_user.all():
        notes.append(f"{source.path.name}: {int((~has_user).sum()):,} rows without a user left out")
    return Source(source.path, source.frame[has_user], source.lines)


def _actions(source: Source, column: str) -> pd.Series:
    codes, words = pd.factorize(as_text(source.frame[column]))
    meaning: list[str] = []
    for code, word in enumerate(words):
        action = action_of(word)
        if action is None:
            row = source.frame.index[int((codes == code).argmax())]
            raise UserError(
                f"{source.where(row, column)}: expected {KNOWN_ACTIONS}, found {quote_cell(word)}; rename it"
            )
        meaning.append(action)
    return pd.Series(np.array(meaning, dtype=object)[codes], index=source.frame.index)


def action_of(word: str) -> str | None:
    """`purchase` or `click`, or None for an unknown word; case, spaces, `_` and `-` do not matter.

    >>> action_of("Add to-cart"), action_of("ORDER"), action_of("returned")
    ('click', 'purchase', None)
    """
    plain = _WORD_BREAK.sub("", word).lower()
    return "purchase" if plain in PURCHASE_WORDS else "click" if plain in CLICK_WORDS else None


def _cell(source: Source, column: str) -> pd.Series:
    """The column as text, each tab, line end and NUL byte replaced by a space; the parts of a list joined by ", "."""
    values = source.frame[column]
    if values.map(_is_list).any():
        values = values.map(lambda value: ", ".join(_parts(value)) if _is_list(value) else value)
    return as_text(values).str.replace(_CELL_BREAK, " ", regex=True)


def _lists(values: pd.Series) -> list[list[str]]:
    """Item ids of each row, of a list column or of text."""
    if values.map(_is_list).any():
        return [_parts(value) if _is_list(value) else [] for value in values]
    return [result_ids(text) for text in as_text(values)]


def result_ids(text: str) -> list[str]:
    """Item ids of a cell: parted by commas or bars, or else by white space, as a list or not, with quotes or not.

    Ids may have spaces where there are commas or bars.

    >>> result_ids("7 8"), result_ids('["Red Boot", "8"]'), result_ids("['7' '8']"), result_ids("[]")
    (['7', '8'], ['Red Boot', '8'], ['7', '8'], [])
    """
    text = _inside(text, _BRACKETS)
    parts = _RESULT_BREAK.split(text) if _RESULT_BREAK.search(text) else text.split()
    return [item for item in (_inside(part, _QUOTES) for part in parts) if item]


def _inside(text: str, pairs: Collection[str]) -> str:
    """The text without white space around it and without the pair of marks that encloses it, if one does."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] + text[-1] in pairs else text


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _parts(values: Collection[Any]) -> list[str]:
    """The parts of a Parquet list as texts, without nulls."""
    return [_part_text(value) for value in values if value is not None and value == value]


def _part_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def time_notes(file: str, seconds: pd.Series, dates: bool, unit: str = "s") -> list[str]:
    """`time_note`, and a warning where all numbers are times of 1970, which no shop's log has.

    Numbers that begin near 0 give an order and no date, which is no error.

    Args:
        file, seconds, dates, unit: as in `time_note`.
    """
    note = [time_note(file, seconds, dates, unit)]
    if dates or seconds.empty or seconds.max() >= _YEAR_1971 or (unit == "s" and seconds.min() < _FIRST_OF_ORDER):
        return note
    advice = "write days as ISO dates, or set --time-unit" if unit == "s" else "check --time-unit"
    return [*note, f"warning: {file}: all times lie in 1970, so they are probably no numbers of {unit}; {advice}"]


def time_note(file: str, seconds: pd.Series, dates: bool, unit: str = "s") -> str:
    """A line of text about the range of times, so that a wrong unit is noticed.

    Args:
        file: name of the file.
        seconds: the times.
        dates: whether they were dates in the file.
        unit: of numbers.
    """
    numbers = "numbers, kept as seconds" if unit == "s" else f"numbers of {unit}, converted to seconds"
    kind = "dates, converted to unix seconds (UTC where no zone is given)" if dates else numbers
    if seconds.empty:
        return f"{file}: no rows"
    first, last = float(seconds.min()), float(seconds.max())
    if last >= _YEAR_2100:
        return f"{file}: times are {kind}; up to {last:.17g} they reach beyond 2100: milliseconds?"
    days = [pd.Timestamp(t, unit="s").strftime("%Y-%m-%d") for t in (first, last)]
    return f"{file}: times are {kind}, from {days[0]} to {days[1]}"


def in_catalogue(ids: pd.Series, catalogue: pd.Series, what: str, drop: bool, notes: list[str]) -> np.ndarray:
    """[n] bool, whether each id is in the catalogue.

    Args:
        ids, catalogue: item ids.
        what: name of the rows for the message.
        drop: whether other ids are counted in `notes`; otherwise they are an error.
        notes: lines of text.
    """
    listed = ids.isin(catalogue).to_numpy()
    unknown = ids[~listed]
    if len(unknown):
        first = quote_cell(unknown.iloc[0])
        text = f"{what}: {len(unknown):,} rows with {unknown.nunique():,} ids not in the item table, first {first}"
        if not drop:
            raise UserError(f"{text}; complete the item table or add --drop-unknown-items")
        notes.append(f"{text}; left out")
    return listed
