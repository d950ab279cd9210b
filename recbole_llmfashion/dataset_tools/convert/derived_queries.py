"""Searches for logs that have none: the words of an EARLIER item's category path, or of its title.

After Van Gysel et al. 2016 (arXiv 1608.07253), who write a query from a product's category path; they write it from the
product that is then searched for, which would tell a recommender its target. Here each search is a function of what its
user did strictly before: whatever replaces the next item, the searches up to it stay as they are. Knows frames of clean
atomic files. Does NOT know sources.
"""

import re

import numpy as np
import pandas as pd

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_TITLE_WORDS = 4
_STOP = frozenset(
    "a an and are as at by for from in into is it its of on or our the this to with you your".split()  # noqa: SIM905
)


def derive_searches(interactions: pd.DataFrame, items: pd.DataFrame, resolution: float) -> tuple[pd.DataFrame, int]:
    """One search before each new moment of a user but the first, from the last item of the moment before.

    It stands a second before the moment, or halfway to the one before where that is nearer. The memory and the title
    model then meet it with the item that follows, as they would a real one.

    Args:
        interactions, items: of a clean AtomicFolder.
        resolution: seconds; times within one multiple of it are one moment (a day, for a log that knows days alone).
            0: equal times are.

    Returns:
        searches as AtomicFolder has them, and how many moments got none because the earlier item has no words.
    """
    users = pd.factorize(interactions["user_id"])[0]
    times = interactions["timestamp"].to_numpy()
    moments = np.floor(times / resolution) if resolution else times
    rows = 1 + np.flatnonzero((users[1:] == users[:-1]) & (moments[1:] > moments[:-1]))
    texts = {item: query_of(*cells) for item, *cells in items[["item_id", "category", "title"]].itertuples(index=False)}
    queries = interactions["item_id"].iloc[rows - 1].map(texts).to_numpy(dtype=object)
    before, after = times[rows - 1], times[rows]
    when = np.maximum(after - 1, (before + after) / 2)
    # between neighbouring float64 there is no third
    there = (queries != "") & (before < when) & (when < after)
    searches = pd.DataFrame(
        {"user_id": interactions["user_id"].to_numpy()[rows], "timestamp": when, "query": queries, "results": ""}
    )
    return searches[there].reset_index(drop=True), int((~there).sum())


def query_of(category: str, title: str) -> str:
    """The words of a path without its top level, each at its deepest place; without a path, the title's first four.

    "Clothing > Women > Women's Shoes > Boots" is "women women's shoes boots". Lower case, no stop words, no numbers.
    """
    levels = category.split(" > ")
    words = _words(" ".join(levels[1:] or levels))
    if words:
        return " ".join(reversed(dict.fromkeys(reversed(words))))
    return " ".join(list(dict.fromkeys(_words(title)))[:_TITLE_WORDS])


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _STOP and not word.isdigit()]
