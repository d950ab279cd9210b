"""A user's item actions and searches, merged in order of time.

At equal times item actions come before searches, so the events before an item action are the actions before it and the
searches strictly earlier than it.
"""

from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.data.search_log import SearchLog

ORDER_ONLY_BELOW = 1e8  # seconds; timestamps before 1973 give an order, not a date
CLICK, PURCHASE, SEARCH = 0, 1, 2


@dataclass(frozen=True)
class Events:
    """Consecutive events of one user.

    Args:
        kind: [n] int8: CLICK, PURCHASE or SEARCH.
        ref: [n] int64, catalogue position for an item action, index into the search log for a search.
        time: [n] float64 seconds.
    """

    kind: np.ndarray
    ref: np.ndarray
    time: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def items(self) -> list[int]:
        """Catalogue positions of the item actions, oldest first."""
        found: list[int] = self.ref[self.kind != SEARCH].tolist()
        return found

    def last_search(self) -> int:
        """Index into the search log of the latest search, -1 if there is none.

        >>> kind = np.array([SEARCH, SEARCH, CLICK], np.int8)
        >>> Events(kind, ref=np.array([7, 8, 0]), time=np.array([1.0, 2.0, 3.0])).last_search()
        8
        """
        searches = np.flatnonzero(self.kind == SEARCH)
        return int(self.ref[searches[-1]]) if len(searches) else -1


class Timeline:
    """All users' events, sorted by user and time.

    Args:
        users: [n] internal user ids of the item actions, from 1, grouped by user.
        items: [n] catalogue positions.
        purchase: [n] bool.
        times: [n] float64 seconds.
        searches: searches of the same users.
        n_users: upper bound of the internal user ids, exclusive.

    Attributes:
        length_before: [n] number of events of the same user before each item action.
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
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        self.length_before = rank[: len(users)] - self._start[users]

    def events(self, user: int, length: int) -> Events:
        """The first `length` events of a user: the history from which the next event is predicted."""
        rows = slice(int(self._start[user]), int(self._start[user]) + length)
        return Events(self._kind[rows], self._ref[rows], self._time[rows])
