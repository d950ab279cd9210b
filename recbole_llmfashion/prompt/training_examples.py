"""Chooses the training rows that become prompts, including further rows for actions that did not fit into a prompt."""

from typing import Literal

import numpy as np

ResponseEvents = Literal["all", "purchase"]  # values of the key response_events


def may_respond(purchase: np.ndarray, responses: ResponseEvents) -> np.ndarray:
    """bool [n], the training rows whose target may be a response.

    Args:
        purchase: [n] 1 if the row's target is a purchase.
        responses: the key response_events.

    >>> may_respond(np.array([0, 1]), "purchase").tolist(), may_respond(np.array([0, 1]), "all").tolist()
    ([False, True], [True, True])
    """
    return purchase == 1 if responses == "purchase" else np.ones(len(purchase), bool)


def training_rows(
    users: np.ndarray, purchase: np.ndarray, per_user: int, responses: ResponseEvents = "all"
) -> np.ndarray:
    """At most `per_user` rows of each user: the latest purchases, then the latest clicks.

    Args:
        users: [n] user of each training row, in order of time for each user.
        purchase: [n] 1 if the row's target is a purchase.
        per_user: the key prompts_per_user.
        responses: the key response_events; `purchase` takes no clicks.

    Returns:
        row indices, ascending.

    >>> users, purchase = np.array([1, 1, 1, 2]), np.array([0, 1, 0, 0])
    >>> training_rows(users, purchase, per_user=1), training_rows(users, purchase, per_user=1, responses="purchase")
    (array([1, 3]), array([1]))
    """
    rows = np.flatnonzero(may_respond(purchase, responses))
    users, purchase = users[rows], purchase[rows]
    order = np.lexsort((-np.arange(len(users)), -purchase, users))
    sorted_users = users[order]
    first = np.searchsorted(sorted_users, sorted_users, side="left")
    return np.sort(rows[order[np.arange(len(users)) - first < per_user]])


def most_prompts(users: np.ndarray, rows: np.ndarray, possible: np.ndarray) -> int:
    """The most prompts that the rows of `training_rows` and those of `EarlierRows` together can be.

    Each earlier row is a possible one before the user's oldest row, and none is taken twice. How many are taken depends
    on the lengths of the prompts.

    Args:
        users: [n] user of each training row, in order of time for each user.
        rows: of `training_rows`.
        possible: bool [n], see `may_respond`.

    >>> users, rows = np.array([1, 1, 1, 2]), np.array([1, 3])
    >>> most_prompts(users, rows, np.ones(4, bool)), most_prompts(users, rows, np.array([False, True, False, True]))
    (3, 2)
    """
    chosen, oldest = np.unique(users[rows], return_index=True)
    before = np.zeros(int(users.max(initial=0)) + 1, np.int64)
    before[chosen] = rows[oldest]
    return len(rows) + int((possible & (np.arange(len(users)) < before[users])).sum())


class EarlierRows:
    """Finds further rows whose prompts contain the events that did not fit into the oldest prompt of a user.

    The target of such a row is the first possible response that the prompt did contain, so that this item is also
    predicted from the events before it. If the prompt contained none, the target is the latest one before it. Applied
    repeatedly to its own result, it ends once every event before a possible response is in a prompt.

    Args:
        users: [n] user of each training row.
        lengths: [n] number of the user's events before the row's target; distinct for each user.
        possible: bool [n], the rows whose target may be a response, see `may_respond`.
    """

    def __init__(self, users: np.ndarray, lengths: np.ndarray, possible: np.ndarray) -> None:
        self._users, self._lengths = users, lengths
        self._span = int(lengths.max(initial=0)) + 1
        rows = np.flatnonzero(possible)
        keys = users[rows] * self._span + lengths[rows]
        self._order = rows[np.argsort(keys)]
        self._keys = np.sort(keys)

    def before(self, rows: np.ndarray, dropped: np.ndarray) -> np.ndarray:
        """The next earlier row of each user whose oldest prompt dropped events.

        Args:
            rows: [m] indices of possible rows, ascending, in order of time for each user.
            dropped: [m] number of oldest events that did not fit into the prompt.

        Returns:
            row indices, ascending, at most one per user.
        """
        users, oldest = np.unique(self._users[rows], return_index=True)
        rows, dropped = rows[oldest], dropped[oldest]
        own = np.searchsorted(self._keys, users * self._span + self._lengths[rows])
        first = np.searchsorted(self._keys, users * self._span + dropped)
        candidates = self._order[np.where(first < own, first, np.maximum(own - 1, 0))]
        # a prompt that shows no event at all would be followed by one prompt per row, all of them empty
        cut = (dropped > 0) & (dropped < self._lengths[rows])
        earlier = cut & (self._users[candidates] == users) & (self._lengths[candidates] < self._lengths[rows])
        return np.sort(candidates[earlier])
