"""Checks the order of rows of a clean dataset (docs/method.md, "Rows"); `recbole-llmfashion clean` establishes it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.field_names import PACKAGE_NAMES, FieldNames
from recbole_llmfashion.data.atomic.table import AtomicError, quote_cell

MakeError = Callable[[int, str, str, str], AtomicError]  # of row, column, expected, found


def order_errors(
    folder: Path, name: str, interactions: pd.DataFrame, searches: pd.DataFrame, names: FieldNames = PACKAGE_NAMES
) -> Iterator[AtomicError]:
    """Yield the first row of each kind of error; nothing for a clean dataset.

    A clean dataset has the rows of each user together, in order of time; each user has at least two item actions, the
    last of them a purchase; each search is of a user of `.inter` and not after that user's final purchase.

    Args:
        folder: the dataset's folder, for the messages.
        name: name of the dataset.
        interactions, searches: frames of an AtomicFolder, in file order.
        names: the names that the files have for user_id, item_id and timestamp.
    """
    inter, search = f"{name}.inter", f"{name}.search"

    def at(file: str) -> MakeError:
        return lambda row, column, expected, found: AtomicError(
            folder, file, row + 2, names.file_column(column), expected, found, "clean", options=names.options
        )

    if interactions.empty:
        yield AtomicError(folder, inter, None, None, "at least one interaction", "none", instead="add interactions")
        return
    yield from _order(interactions, at(inter))
    yield from _order(searches, at(search))
    yield from _unusable_users(interactions, at(inter))
    yield from _unusable_searches(interactions, searches, at(search))


def _order(frame: pd.DataFrame, error: MakeError) -> Iterator[AtomicError]:
    codes, users = pd.factorize(frame["user_id"])
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    repeated = pd.Series(codes[starts]).duplicated().to_numpy()
    for row in starts[repeated][:1]:
        found = f"{quote_cell(users[codes[row]])} again after another user"
        yield error(int(row), "user_id", "one user's rows together", found)
    times = frame["timestamp"].to_numpy()
    for row in np.flatnonzero((np.diff(times) < 0) & (np.diff(codes) == 0))[:1] + 1:
        found = f"{times[row]:.17g} after {times[row - 1]:.17g}"
        yield error(int(row), "timestamp", "times that do not decrease within a user", found)


def _unusable_users(interactions: pd.DataFrame, error: MakeError) -> Iterator[AtomicError]:
    users = interactions["user_id"]
    last = ~users.duplicated(keep="last").to_numpy()
    for row in np.flatnonzero(last & (interactions["action"] != "purchase").to_numpy())[:1]:
        found = f"a click of {quote_cell(users.iloc[row])}"
        yield error(int(row), "action", "a user's last row to be a purchase", found)
    for row in np.flatnonzero(~users.duplicated(keep=False).to_numpy())[:1]:
        found = f"one of {quote_cell(users.iloc[row])}"
        yield error(int(row), "user_id", "at least two item actions of each user", found)


def _unusable_searches(interactions: pd.DataFrame, searches: pd.DataFrame, error: MakeError) -> Iterator[AtomicError]:
    purchases = interactions[interactions["action"] == "purchase"]
    limit = searches["user_id"].map(purchases.groupby("user_id", sort=False)["timestamp"].max())
    for row in np.flatnonzero(~searches["user_id"].isin(interactions["user_id"]).to_numpy())[:1]:
        yield error(int(row), "user_id", "a user who has interactions", quote_cell(searches["user_id"].iloc[row]))
    for row in np.flatnonzero((searches["timestamp"] > limit).to_numpy())[:1]:
        expected = f"no search after its user's final purchase at {limit.iloc[row]:.17g}"
        yield error(int(row), "timestamp", expected, f"{searches['timestamp'].iloc[row]:.17g}")
