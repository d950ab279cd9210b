"""Derives searches for logs without searches, from the category path or the title of an EARLIER item.

Van Gysel et al. 2016 (arXiv 1608.07253) write a query from the category path of the product that is searched for, which
would reveal the target to a recommender. Here each search depends only on what its user did strictly before: replacing
the next item does not change the searches before it.
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
    """Derive one search before each moment of a user except the first, from the last item of the moment before.

    A moment is a group of actions at the same time. The search is one second before the moment, or halfway between the
    two moments if they are less than two seconds apart.

    Args:
        interactions, items: frames of a clean AtomicFolder.
        resolution: length of a moment in seconds (a day for a log that has days only); 0 for exact times.

    Returns:
        (searches frame of an AtomicFolder, number of moments without a search because the earlier item has no words).
    """
    users = pd.factorize(interactions["user_id"])[0]
    times = interactions["timestamp"].to_numpy()
    moments = np.floor(times / resolution) if resolution else times
    rows = 1 + np.flatnonzero((users[1:] == users[:-1]) & (moments[1:] > moments[:-1]))
    texts = {item: query_of(*cells) for item, *cells in items[["item_id", "category", "title"]].itertuples(index=False)}
    queries = interactions["item_id"].iloc[rows - 1].map(texts).to_numpy(dtype=object)
    before, after = times[rows - 1], times[rows]
    when = np.maximum(after - 1, (before + after) / 2)
    # there is no float64 between two neighbouring ones
    possible = (queries != "") & (before < when) & (when < after)
    searches = pd.DataFrame(
        {"user_id": interactions["user_id"].to_numpy()[rows], "timestamp": when, "query": queries, "results": ""}
    )
    return searches[possible].reset_index(drop=True), int((~possible).sum())


def query_of(category: str, title: str) -> str:
    """The distinct words of a category path without its top level, or the first four words of the title.

    Words are lower-cased; stop words and numbers are left out. A repeated word is kept at its last place.

    >>> query_of("Clothing > Women > Women's Shoes > Boots", "Red Boots")
    "women women's shoes boots"
    >>> query_of("", "The Norda Red Winter Boots for Women 2024")
    'norda red winter boots'
    """
    levels = category.split(" > ")
    words = _words(" ".join(levels[1:] or levels))
    if words:
        return " ".join(reversed(dict.fromkeys(reversed(words))))
    return " ".join(list(dict.fromkeys(_words(title)))[:_TITLE_WORDS])


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _STOP and not word.isdigit()]
