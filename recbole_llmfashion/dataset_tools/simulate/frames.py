"""Converts the simulator's arrays into the frames of atomic files: random ids, cleaning, usable users only."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.customers.journeys import Log
from recbole_llmfashion.dataset_tools.simulate.customers.seasons import (
    DAY_SECONDS,
    OCCASION_NAMES,
    SEASON_NAMES,
    START_SECONDS,
)
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue, size_labels
from recbole_llmfashion.dataset_tools.simulate.shop.titles import make_titles
from recbole_llmfashion.dataset_tools.simulate.shop.words import COLORS

Words = NDArray[np.object_]
SIX_DIGITS = 500_000
_MOST_ITEMS = 9_000_000


@dataclass(frozen=True)
class Kept:
    """Rows of a log that are written.

    Args:
        actions, searches: rows, sorted by user and time.
        length: [users] number of item actions after the click filter, 0 for unusable users.
    """

    actions: IntArray
    searches: IntArray
    length: IntArray


def keep(log: Log, users: int) -> Kept:
    """Cut each user's log after the final purchase and leave out unusable users.

    A user is usable with a purchase and at least two item actions after the paper's click filter, which drops clicks on
    purchased items. The files keep these clicks.
    """
    last = np.full(users, -1, dtype=np.int64)
    np.maximum.at(last, log.action_user[log.purchase], log.action_time[log.purchase])
    inside = np.flatnonzero(log.action_time <= last[log.action_user])
    pair = log.action_user.astype(np.int64) * (log.item.max(initial=0) + 1) + log.item
    counted = log.purchase[inside] | ~np.isin(pair[inside], pair[log.purchase])
    length = np.bincount(log.action_user[inside[counted]], minlength=users)
    length[length < 2] = 0
    actions = inside[length[log.action_user[inside]] > 0]
    usable = (log.search_time < last[log.search_user]) & (length[log.search_user] > 0)
    searches = np.flatnonzero(usable)
    return Kept(
        actions=actions[np.lexsort((log.action_time[actions], log.action_user[actions]))],
        searches=searches[np.lexsort((log.search_time[searches], log.search_user[searches]))],
        length=length,
    )


def item_ids(items: int, rng: np.random.Generator) -> Words:
    """Distinct random numbers as text, of 6 digits, or 7 for more than 500,000 items.

    Raises:
        ValueError: there are more than 9,000,000 items.
    """
    if items > _MOST_ITEMS:
        raise ValueError(f"items: expected at most {_MOST_ITEMS}, found {items}")
    low = 100_000 if items <= SIX_DIGITS else 1_000_000
    numbers = rng.choice(9 * low, size=items, replace=False) + low
    return numbers.astype(str).astype(object)


def action_frame(log: Log, rows: IntArray, users: Words, ids: Words) -> pd.DataFrame:
    """The frame of `.inter` for some rows of a log; `users` [users] and `ids` [items] are the tokens."""
    return pd.DataFrame(
        {
            "user_id": users[log.action_user[rows]],
            "item_id": ids[log.item[rows]],
            "action": np.where(log.purchase[rows], "purchase", "click").astype(object),
            "timestamp": (log.action_time[rows] + START_SECONDS).astype(np.float64),
        }
    )


def search_frame(log: Log, rows: IntArray, users: Words, ids: Words, queries: list[str]) -> pd.DataFrame:
    """The frame of `.search` for some rows of a log and their queries; other arguments as in `action_frame`."""
    padded = np.append(ids, "")[log.shown[rows]]  # -1 selects the last, empty id
    return pd.DataFrame(
        {
            "user_id": users[log.search_user[rows]],
            "timestamp": (log.search_time[rows] + START_SECONDS).astype(np.float64),
            "query": pd.Series(queries, dtype=object),
            "results": pd.Series([" ".join(filter(None, row)) for row in padded.tolist()], dtype=object),
        }
    )


def item_frame(catalogue: SimulatedCatalogue, ids: Words, rng: np.random.Generator) -> pd.DataFrame:
    """The frame of `.item`, sorted by the random ids."""
    category, families = catalogue.category, catalogue.families
    audience, kind = np.divmod(catalogue.segment, len(category.types))
    color, size = _color_names(catalogue, rng), _size_names(catalogue)
    names = [[_category_name(a, t.name) for t in category.types] for a, _ in category.audiences]
    frame = pd.DataFrame(
        {
            "item_id": ids,
            "title": make_titles(catalogue, color, size, rng),
            "brand": catalogue.brands.names[families.brand][catalogue.family],
            "color": color,
            "size": size,
            "category": np.array(names, dtype=object)[audience, kind],
            "season": np.array(SEASON_NAMES, dtype=object)[families.season][catalogue.family],
            "occasion": np.array(OCCASION_NAMES, dtype=object)[families.occasion][catalogue.family],
            "price": catalogue.price,
            "available_from": (catalogue.arrival * DAY_SECONDS + START_SECONDS).astype(np.float64),
        }
    )
    return frame.sort_values("item_id", kind="stable", ignore_index=True)


def _category_name(audience: str, kind: str) -> str:
    return kind if audience == "All" else f"{audience} {kind}"


def _color_names(catalogue: SimulatedCatalogue, rng: np.random.Generator) -> Words:
    """Color name of each item; the items of a family use the same variant of a color's name."""
    table = np.array(list(COLORS.values()), dtype=object)
    way = rng.integers(table.shape[1], size=len(catalogue.families.brand))
    return table[catalogue.color, way[catalogue.family]]


def _size_names(catalogue: SimulatedCatalogue) -> Words:
    category = catalogue.category
    segments = [(audience, kind) for audience, _ in category.audiences for kind in category.types]
    labels = [size_labels(kind.sizes, audience) for audience, kind in segments]
    start = np.cumsum([0, *(len(row) for row in labels)])
    flat = np.array([label for row in labels for label in row], dtype=object)
    return flat[start[catalogue.segment] + catalogue.size]
