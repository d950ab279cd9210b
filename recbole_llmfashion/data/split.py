"""docs/method.md's split: which row of a user is test, valid, train, or none of these.

A row is RecBole's (prefix -> next item): every item action of a user but the first. On purchase-only data with at least
four item actions a user, this is RecBole's `LS: valid_and_test`; of shorter users RecBole keeps the second row (three
actions) or the only one (two actions) for training, while here the final purchase is always a test row.
"""

import numpy as np

TRAIN, VALID, TEST, DROPPED, NO_ROW = 0, 1, 2, -1, -2


def user_starts(users: np.ndarray) -> np.ndarray:
    """Positions at which a new user begins in a grouped [n] array."""
    return np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.zeros(0, np.int64)


def split_codes(users: np.ndarray, purchase: np.ndarray) -> np.ndarray:
    """The part of each item action's row.

    Test: the row of the user's final action, a purchase. Valid: the row of the purchase before it, if it has one.
    Train: the rows before the valid row, or before the test row where there is no valid one. Rows between valid and
    test are dropped.

    Args:
        users: [n] int, one user's actions together.
        purchase: [n] bool; each user's last action is one.

    Returns:
        [n] int8 of TRAIN, VALID, TEST, DROPPED, and NO_ROW for each user's first action.
    """
    n = len(users)
    starts = user_starts(users)
    lengths = np.diff(np.r_[starts, n])
    position = np.arange(n) - np.repeat(starts, lengths)
    last = np.repeat(starts + lengths - 1, lengths)
    is_test = np.arange(n) == last
    # the latest purchase with a row before the test row, per user; -1 where there is none
    candidate = np.where(purchase & ~is_test & (position > 0), position, -1)
    valid_at = np.repeat(np.maximum.reduceat(candidate, starts) if n else candidate, lengths)
    codes = np.full(n, TRAIN, np.int8)
    codes[(valid_at >= 0) & (position > valid_at)] = DROPPED
    codes[(valid_at >= 0) & (position == valid_at)] = VALID
    codes[is_test] = TEST
    codes[position == 0] = NO_ROW
    return codes


def click_filter_mask(
    users: np.ndarray, items: np.ndarray, purchase: np.ndarray, in_training: np.ndarray
) -> np.ndarray:
    """Which actions stay: a click goes if the same user purchases the item in an action marked `in_training`.

    Args:
        users, items: [n] int.
        purchase: [n] bool.
        in_training: [n] bool; all True is the paper's filter, which looks into the future.

    Returns:
        [n] bool, True = stays.
    """
    if not len(users):
        return np.zeros(0, bool)
    pair = users.astype(np.int64) * (int(items.max()) + 1) + items
    bought = np.unique(pair[purchase & in_training])
    return purchase | ~np.isin(pair, bought)
