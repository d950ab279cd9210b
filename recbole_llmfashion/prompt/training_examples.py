"""Chooses the training rows that become prompts, including further rows for actions that did not fit into a prompt."""

import numpy as np


def training_rows(users: np.ndarray, purchase: np.ndarray, per_user: int) -> np.ndarray:
    """At most `per_user` rows of each user: the latest purchases, then the latest clicks.

    Args:
        users: [n] user of each training row, in order of time for each user.
        purchase: [n] 1 if the row's target is a purchase.
        per_user: the key prompts_per_user; 1 in the paper.

    Returns:
        row indices, ascending.

    >>> training_rows(np.array([1, 1, 1, 2]), np.array([0, 1, 0, 0]), per_user=1)
    array([1, 3])
    """
    order = np.lexsort((-np.arange(len(users)), -purchase, users))
    sorted_users = users[order]
    first = np.searchsorted(sorted_users, sorted_users, side="left")
    return np.sort(order[np.arange(len(users)) - first < per_user])


class EarlierRows:
    """Finds further rows whose prompts contain the events that did not fit into the oldest prompt of a user.

    The target of such a row is the first item that the prompt did contain, so that this item is also predicted from the
    events before it. Applied repeatedly to its own result, it ends once every event of a user is in a prompt.

    Args:
        users: [n] user of each training row.
        lengths: [n] number of the user's events before the row's target; distinct for each user.
    """

    def __init__(self, users: np.ndarray, lengths: np.ndarray) -> None:
        self._users, self._lengths = users, lengths
        self._span = int(lengths.max(initial=0)) + 1
        keys = users * self._span + lengths
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def before(self, rows: np.ndarray, dropped: np.ndarray) -> np.ndarray:
        """The next earlier row of each user whose oldest prompt dropped events.

        Args:
            rows: [m] row indices, ascending, in order of time for each user.
            dropped: [m] number of oldest events that did not fit into the prompt.

        Returns:
            row indices, ascending, at most one per user.
        """
        users, oldest = np.unique(self._users[rows], return_index=True)
        rows, dropped = rows[oldest], dropped[oldest]
        candidates = self._order[np.searchsorted(self._keys, users * self._span + dropped)]
        earlier = (dropped > 0) & (self._lengths[candidates] < self._lengths[rows])
        return np.sort(candidates[earlier])
