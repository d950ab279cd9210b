"""docs/method.md's cleaning of a log: order, cut after the final purchase, users of no use left out and counted.

Knows the frames of an AtomicFolder. Does NOT judge or change cells (the reader does the former, nobody the latter) and
does not apply the click filter: files keep all clicks.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.errors import UserError


@dataclass(frozen=True)
class CleanCounts:
    """What cleaning kept and left out.

    users, interactions, searches: kept. users_without_purchase, users_too_short: left out; the latter have a purchase
    but fewer than two item actions up to the final one. actions_after_purchase: rows of kept users that were cut.
    searches_of_left_out_users, searches_after_purchase: dropped. moved: kept rows, searches included, whose place in
    the file changed for order's sake.
    """

    users: int
    interactions: int
    searches: int
    users_without_purchase: int
    users_too_short: int
    actions_after_purchase: int
    searches_of_left_out_users: int
    searches_after_purchase: int
    moved: int

    def lines(self) -> list[str]:
        """The counts as text for the terminal."""
        return [
            f"kept: {self.users:,} users, {self.interactions:,} item actions, {self.searches:,} searches"
            f" ({self.moved:,} rows moved into order)",
            f"users left out: {self.users_without_purchase:,} without a purchase,"
            f" {self.users_too_short:,} with fewer than two item actions up to the final purchase",
            f"cut after a user's final purchase: {self.actions_after_purchase:,} item actions,"
            f" {self.searches_after_purchase:,} searches",
            f"searches of users left out: {self.searches_of_left_out_users:,}",
        ]


def clean(folder: AtomicFolder) -> tuple[AtomicFolder, CleanCounts]:
    """Make a folder that `check_clean` accepts (docs/method.md, "Rows", sequence); idempotent.

    Users stand in the order of their first appearance, their rows by time, ties in file order. Rows after the final
    purchase go; users with fewer than two rows left, or no purchase, go with their searches; searches later than the
    final purchase go (one at that very time stays).

    Raises:
        UserError: if no usable user is left.
    """
    actions = folder.interactions
    rank, names = pd.factorize(actions["user_id"])
    order = np.lexsort((actions["timestamp"].to_numpy(), rank))
    rank = rank[order]
    # the position of the final purchase, -1 where a user has none: maximum.at needs no row to be there
    final = np.full(len(names), -1)
    bought = np.flatnonzero((actions["action"].to_numpy() == "purchase")[order])
    np.maximum.at(final, rank[bought], bought)
    before = np.arange(len(order)) <= final[rank]
    length = np.bincount(rank[before], minlength=len(names))
    usable = length >= 2
    keep = before & usable[rank]
    if not usable.any():
        raise UserError(
            f"{folder.name}: no user can be used: each of the {len(names):,} has no purchase, or fewer than two item"
            " actions up to the final one; check the action column, or bring more data"
        )
    interactions = actions.iloc[order[keep]].reset_index(drop=True)
    ends = pd.Series(actions["timestamp"].to_numpy()[order[final[usable]]], index=names[usable])
    searches, search_order, stray, late = _clean_searches(folder.searches, ends)
    counts = CleanCounts(
        users=int(usable.sum()),
        interactions=len(interactions),
        searches=len(searches),
        users_without_purchase=int((final < 0).sum()),
        users_too_short=int(((final >= 0) & ~usable).sum()),
        actions_after_purchase=int((usable[rank] & ~before).sum()),
        searches_of_left_out_users=stray,
        searches_after_purchase=late,
        moved=_moved(order[keep]) + _moved(search_order),
    )
    return replace(folder, interactions=interactions, searches=searches), counts


def _clean_searches(searches: pd.DataFrame, ends: pd.Series) -> tuple[pd.DataFrame, np.ndarray, int, int]:
    """(searches kept, their old rows, how many of users left out, how many too late); `ends` in the users' order."""
    users = ends.index.get_indexer(pd.Index(searches["user_id"]))
    times = searches["timestamp"].to_numpy()
    known = users >= 0
    late = known & (times > ends.to_numpy()[users])
    order = np.lexsort((times, users))
    order = order[(known & ~late)[order]]
    return searches.iloc[order].reset_index(drop=True), order, int((~known).sum()), int(late.sum())


def _moved(rows: np.ndarray) -> int:
    """How many of the kept rows stand at another place than leaving rows out alone would give."""
    return int((rows != np.sort(rows)).sum())
