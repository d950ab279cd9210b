"""Which training rows become prompts: the last of each user, and those that end where what did not fit ends.

Knows users and lengths, neither texts nor tokens.
"""

import numpy as np


def training_rows(users: np.ndarray, purchase: np.ndarray, per_user: int) -> np.ndarray:
    """Rows that the LLM learns from: of each user purchases first, latest first, then clicks, at most `per_user`.

    Args:
        users: [n] of the training rows, each user's in order of time.
        purchase: [n] 1 where the row's target is a purchase.
        per_user: docs/method.md's prompts_per_user; 1 is the paper's.

    Returns:
        row indices, ascending.
    """
    order = np.lexsort((-np.arange(len(users)), -purchase, users))
    sorted_users = users[order]
    first = np.searchsorted(sorted_users, sorted_users, side="left")
    return np.sort(order[np.arange(len(users)) - first < per_user])


class EarlierRows:
    """Rows whose prompts show what the oldest prompt of each user had no room for.

    The target of such a row is the first item that the prompt did show, so that it too is learned behind what went
    before it. Asked again about the rows that it gives, it ends where every event of a user has been shown.

    Args:
        users: [n] of the training rows.
        lengths: [n] events of the user before the row's target, no two rows of a user alike.
    """

    def __init__(self, users: np.ndarray, lengths: np.ndarray) -> None:
        self._users, self._lengths = users, lengths
        self._span = int(lengths.max(initial=0)) + 1
        keys = users * self._span + lengths
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def before(self, rows: np.ndarray, dropped: np.ndarray) -> np.ndarray:
        """Row indices, ascending, at most one a user.

        Args:
            rows: [m] row indices, ascending, each user's in order of time.
            dropped: [m] how many of the oldest events before the row's target did not fit.
        """
        users, oldest = np.unique(self._users[rows], return_index=True)
        rows, dropped = rows[oldest], dropped[oldest]
        found = self._order[np.searchsorted(self._keys, users * self._span + dropped)]
        older = (dropped > 0) & (self._lengths[found] < self._lengths[rows])
        return np.sort(found[older])
