"""The order of rows that a clean folder has: what `recbole-llmfashion clean` would mend, and where.

Knows two frames and docs/method.md's cleaning ("Rows", sequence). Does NOT read files and mends nothing.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.table import AtomicError, shown

Breach = Callable[[int, str, str, str], AtomicError]


def order_breaches(
    folder: Path, name: str, interactions: pd.DataFrame, searches: pd.DataFrame
) -> Iterator[AtomicError]:
    """The first line of each kind of breach of docs/method.md's cleaning; nothing for a clean folder.

    One user's rows together; times not decreasing within a user; at least two item actions of each user, the last a
    purchase; each search of a user of `.inter`, not after that user's final purchase.

    Args:
        interactions, searches: frames of an AtomicFolder, in file order.
    """
    inter, search = f"{name}.inter", f"{name}.search"

    def at(file: str) -> Breach:
        return lambda row, column, expected, found: AtomicError(
            folder, file, row + 2, column, expected, found, command="clean"
        )

    if interactions.empty:
        yield AtomicError(folder, inter, None, None, "at least one interaction", "none", command="clean")
        return
    yield from _disorder(interactions, at(inter))
    yield from _disorder(searches, at(search))
    yield from _unusable_users(interactions, at(inter))
    yield from _stray_searches(interactions, searches, at(search))


def _disorder(frame: pd.DataFrame, breach: Breach) -> Iterator[AtomicError]:
    codes, users = pd.factorize(frame["user_id"])
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    again = pd.Series(codes[starts]).duplicated().to_numpy()
    for row in starts[again][:1]:
        found = f"{shown(users[codes[row]])} again after another user"
        yield breach(int(row), "user_id", "one user's rows together", found)
    times = frame["timestamp"].to_numpy()
    for row in np.flatnonzero((np.diff(times) < 0) & (np.diff(codes) == 0))[:1] + 1:
        found = f"{times[row]:.17g} after {times[row - 1]:.17g}"
        yield breach(int(row), "timestamp", "times that do not decrease within a user", found)


def _unusable_users(interactions: pd.DataFrame, breach: Breach) -> Iterator[AtomicError]:
    users = interactions["user_id"]
    last = ~users.duplicated(keep="last").to_numpy()
    for row in np.flatnonzero(last & (interactions["action"] != "purchase").to_numpy())[:1]:
        found = f"a click of {shown(users.iloc[row])}"
        yield breach(int(row), "action", "a user's last row to be a purchase", found)
    for row in np.flatnonzero(~users.duplicated(keep=False).to_numpy())[:1]:
        yield breach(int(row), "user_id", "at least two item actions of each user", f"one of {shown(users.iloc[row])}")


def _stray_searches(interactions: pd.DataFrame, searches: pd.DataFrame, breach: Breach) -> Iterator[AtomicError]:
    bought = interactions[interactions["action"] == "purchase"]
    limit = searches["user_id"].map(bought.groupby("user_id", sort=False)["timestamp"].max())
    for row in np.flatnonzero(~searches["user_id"].isin(interactions["user_id"]).to_numpy())[:1]:
        yield breach(int(row), "user_id", "a user who has interactions", shown(searches["user_id"].iloc[row]))
    for row in np.flatnonzero((searches["timestamp"] > limit).to_numpy())[:1]:
        expected = f"no search after its user's final purchase at {limit.iloc[row]:.17g}"
        yield breach(int(row), "timestamp", expected, f"{searches['timestamp'].iloc[row]:.17g}")
