"""Rows of a shop's interactions, items and searches under the names that atomic files use; ids still the shop's own.

Knows which rows and words are acceptable. Does NOT parse files, rename ids or clean.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.checks import MAX_RESULTS
from recbole_llmfashion.data.atomic.table import quote_cell
from recbole_llmfashion.dataset_tools.convert.sources.table_source import Source, as_seconds, as_text
from recbole_llmfashion.errors import UserError

PURCHASE_WORDS = frozenset(["buy", "bought", "purchase", "purchased", "order", "ordered", "transaction", "sale"])
CLICK_WORDS = frozenset(
    ["click", "clicked", "view", "viewed", "pageview", "detail", "cart", "addtocart", "basket", "favorite", "wishlist"]
)
KNOWN_ACTIONS = f"one of {', '.join(sorted(PURCHASE_WORDS))} (purchase) or {', '.join(sorted(CLICK_WORDS))} (click)"
_CELL_BREAK = re.compile(r"[\t\r\n\0]")
_WORD_BREAK = re.compile(r"[\s_\-]+")
_RESULT_BREAK = re.compile(r"[\s,|]+")
_YEAR_2100 = 4_102_444_800.0


def interactions_of(
    source: Source, user: str, item: str, time: str, action: str | None, notes: list[str]
) -> tuple[pd.DataFrame, bool]:
    """Events sorted by (user in order of first appearance, time, file order), and whether times were dates.

    Returns:
        frame user_id, item_id, action str, timestamp float64; its index is the row's number in the source.
    """
    source = _with_user(source, user, notes)
    seconds, dates = as_seconds(source, time)
    notes.append(time_note(source.path.name, seconds, dates))
    users, items = as_text(source.frame[user]), as_text(source.frame[item])
    for row in items.index[(items == "").to_numpy()][:1]:
        raise UserError(f"{source.where(row, item)}: expected an item id, found an empty cell; mend or drop the row")
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
    """The catalogue in file order: item_id, title and `attributes` (atomic name -> column or None, then empty).

    Rows alike in all of these are one item. Items without an id or a title are left out and counted where no
    interaction uses them (`used`, item ids).

    Raises:
        UserError: an item without a title that is used; an item id with two different rows.
    """
    columns = {"item_id": as_text(source.frame[item]), "title": _cell(source, title)}
    blank = pd.Series("", index=source.frame.index, dtype=object)
    columns |= {name: blank if column is None else _cell(source, column) for name, column in attributes.items()}
    table = pd.DataFrame(columns)
    repeats = table.duplicated()
    table = table[~repeats]
    if repeats.any():
        notes.append(f"{source.path.name}: {int(repeats.sum()):,} rows that repeat an item left out")
    useless = (table["title"].str.strip() == "") | (table["item_id"] == "")
    for row in table.index[(useless & table["item_id"].isin(used)).to_numpy()][:1]:
        bought = quote_cell(table["item_id"].loc[row])
        raise UserError(f"{source.where(row, title)}: item {bought} has interactions but no title; give it one")
    if useless.any():
        notes.append(
            f"{source.path.name}: {int(useless.sum()):,} items without id or title, which nobody used, left out"
        )
    table = table[~useless]
    for row in table.index[table["item_id"].duplicated().to_numpy()][:1]:
        twice = table["item_id"].loc[row]
        first = table.index[(table["item_id"] == twice).to_numpy()][0]
        other = source.place(first)
        raise UserError(
            f"{source.where(row, item)}: {quote_cell(twice)} again, and not as in {other}; keep one of the rows"
        )
    return table


def searches_of(
    source: Source, user: str, time: str, query: str, results: str | None, notes: list[str]
) -> tuple[pd.DataFrame, bool]:
    """Searches in file order, and whether times were dates; rows without a user or a query are left out and counted.

    Returns:
        frame user_id str, timestamp float64, query str, results list of str (at most eight, the rest is counted).
    """
    source = _with_user(source, user, notes)
    text = _cell(source, query)
    said = (text.str.strip() != "").to_numpy()
    if not said.all():
        notes.append(f"{source.path.name}: {int((~said).sum()):,} searches without a query left out")
    source = Source(source.path, source.frame[said], source.lines)
    seconds, dates = as_seconds(source, time)
    notes.append(time_note(source.path.name, seconds, dates))
    lists: list[list[str]] = [[] for _ in range(len(seconds))] if results is None else _lists(source.frame[results])
    long = sum(len(one) > MAX_RESULTS for one in lists)
    if long:
        notes.append(f"{source.path.name}: {long:,} lists of results cut to their first {MAX_RESULTS}")
    frame = pd.DataFrame({"user_id": as_text(source.frame[user]), "timestamp": seconds, "query": text[said]})
    frame["results"] = pd.Series([one[:MAX_RESULTS] for one in lists], index=frame.index, dtype=object)
    return frame, dates


def _with_user(source: Source, user: str, notes: list[str]) -> Source:
    """The rows that name their user: an event without one belongs to no sequence."""
    known = (as_text(source.frame[user]).str.strip() != "").to_numpy()
    if not known.all():
        notes.append(f"{source.path.name}: {int((~known).sum()):,} rows without a user left out")
    return Source(source.path, source.frame[known], source.lines)


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
    """`purchase` or `click`, or None for a word that is not known; case, spaces, `_` and `-` do not count."""
    plain = _WORD_BREAK.sub("", word).lower()
    return "purchase" if plain in PURCHASE_WORDS else "click" if plain in CLICK_WORDS else None


def _cell(source: Source, column: str) -> pd.Series:
    """Text with tabs, line ends and NUL bytes folded to one space each."""
    return as_text(source.frame[column]).str.replace(_CELL_BREAK, " ", regex=True)


def _lists(values: pd.Series) -> list[list[str]]:
    """Item ids of each row: a list column as it is, text split at white space, commas and bars."""
    if values.map(lambda v: isinstance(v, (list, tuple, np.ndarray))).any():
        return [[] if not isinstance(v, (list, tuple, np.ndarray)) else [_id_text(i) for i in v] for v in values]
    return [[item for item in _RESULT_BREAK.split(text) if item] for text in as_text(values)]


def _id_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def time_note(file: str, seconds: pd.Series, dates: bool) -> str:
    """What was taken for a time, said aloud because a wrong unit shows nowhere else."""
    kind = "dates, converted to unix seconds (UTC where no zone is given)" if dates else "numbers, kept as seconds"
    if seconds.empty:
        return f"{file}: no rows"
    first, last = float(seconds.min()), float(seconds.max())
    if last >= _YEAR_2100:
        return f"{file}: times are {kind}; up to {last:.17g} they reach beyond 2100: milliseconds?"
    days = [pd.Timestamp(t, unit="s").strftime("%Y-%m-%d") for t in (first, last)]
    return f"{file}: times are {kind}, from {days[0]} to {days[1]}"


def known_only(ids: pd.Series, catalogue: pd.Series, what: str, drop: bool, notes: list[str]) -> np.ndarray:
    """[n] bool, which ids are in the catalogue; unknown ones are an error, or with `drop` a count."""
    known = ids.isin(catalogue).to_numpy()
    unknown = ids[~known]
    if len(unknown):
        first = quote_cell(unknown.iloc[0])
        text = f"{what}: {len(unknown):,} with {unknown.nunique():,} item ids that the item table lacks, first {first}"
        if not drop:
            raise UserError(f"{text}; complete the item table or add --drop-unknown-items")
        notes.append(f"{text}; left out")
    return known
