"""A user's events in order: item actions and searches, merged once, sliced ever after.

At equal times item actions stand before searches, so the events before an item action are exactly the actions before
it and the searches strictly earlier than it. The timeline knows no text and no split.
"""

from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.data.search_log import SearchLog

CLICK, PURCHASE, SEARCH = 0, 1, 2


@dataclass(frozen=True)
class Events:
    """Consecutive events of one user.

    Args:
        kind: [n] int8 of CLICK, PURCHASE, SEARCH.
        ref: [n] int64, catalogue position of an item action, index into the search log of a search.
        time: [n] float64 seconds.
    """

    kind: np.ndarray
    ref: np.ndarray
    time: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def last_search(self) -> int:
        """Index into the search log of the latest search, -1 where there is none."""
        found = np.flatnonzero(self.kind == SEARCH)
        return int(self.ref[found[-1]]) if len(found) else -1


class Timeline:
    """All users' events, in one array each.

    Args:
        users: [n] internal user ids of the item actions, grouped, from 1.
        items: [n] catalogue positions.
        purchase: [n] bool.
        times: [n] float64.
        searches: the same users' searches.
        n_users: internal ids are below this.
    """

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        purchase: np.ndarray,
        times: np.ndarray,
        searches: SearchLog,
        n_users: int,
    ) -> None:
        all_users = np.r_[users, searches.users]
        all_times = np.r_[times, searches.times]
        is_search = np.r_[np.zeros(len(users), np.int8), np.ones(len(searches), np.int8)]
        order = np.lexsort((np.arange(len(all_users)), is_search, all_times, all_users))
        kind = np.r_[np.where(purchase, PURCHASE, CLICK), np.full(len(searches), SEARCH)].astype(np.int8)
        self._kind = kind[order]
        self._ref = np.r_[items, np.arange(len(searches))].astype(np.int64)[order]
        self._time = all_times[order]
        self._start = np.searchsorted(all_users[order], np.arange(n_users + 1))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        self.length_before = place[: len(users)] - self._start[users]  # events before each item action

    def events(self, user: int, length: int) -> Events:
        """The first `length` events of a user: what is known when the next one is predicted."""
        rows = slice(int(self._start[user]), int(self._start[user]) + length)
        return Events(self._kind[rows], self._ref[rows], self._time[rows])
