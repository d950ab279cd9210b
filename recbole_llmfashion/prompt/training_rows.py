"""Which training rows become prompts: the last of each user, and those that end where what did not fit ends.

Knows users and lengths, neither texts nor tokens.
"""

import numpy as np


def training_rows(users: np.ndarray, purchase: np.ndarray, per_user: int) -> np.ndarray:
    """Rows that the LLM learns from: of each user purchases first, latest first, then clicks, at most `per_user`.

    Args:
        users: [n] of the training rows, each user's in order of time.
        purchase: [n] 1 where the row's target is a purchase.
        per_user: docs/method.md's targets_per_user; 1 is the paper's.

    Returns:
        row indices, ascending.
    """
    order = np.lexsort((-np.arange(len(users)), -purchase, users))
    sorted_users = users[order]
    first = np.searchsorted(sorted_users, sorted_users, side="left")
    return np.sort(order[np.arange(len(users)) - first < per_user])


def earlier_rows(users: np.ndarray, lengths: np.ndarray, rows: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    """Rows whose prompts show what the oldest prompt of each user had no room for.

    The target of such a row is the first item that the prompt did show, so that it too is learned behind what went
    before it. Asked again about the rows that it gives, it ends where every event of a user has been shown.

    Args:
        users: [n] of the training rows.
        lengths: [n] events of the user before the row's target, no two rows of a user alike.
        rows: [m] row indices, ascending, each user's in order of time.
        dropped: [m] how many of the oldest events before the row's target did not fit.

    Returns:
        row indices, ascending, at most one a user.
    """
    oldest = np.unique(users[rows], return_index=True)[1]
    rows, dropped = rows[oldest], dropped[oldest]
    order = np.lexsort((lengths, users))
    span = int(lengths.max(initial=0)) + 1
    place = np.searchsorted((users * span + lengths)[order], users[rows] * span + dropped)
    found = order[place]
    older = (dropped > 0) & (lengths[found] < lengths[rows])
    return np.sort(found[older])
