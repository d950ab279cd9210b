"""docs/method.md's split: which row of a user is test, valid, train, or none of these.

A row is RecBole's (prefix -> next item): every item action of a user but the first. On purchase-only data with at least
four item actions a user, this is RecBole's `LS: valid_and_test`; of shorter users RecBole keeps the second row (three
actions) or the only one (two actions) for training, while here the final purchase is always a test row.
"""

import numpy as np
import pandas as pd

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


def time_split_codes(
    users: np.ndarray, purchase: np.ndarray, times: np.ndarray, shares: tuple[float, float]
) -> np.ndarray:
    """The part of each item action's row under a global time split (Ji et al., arXiv 2010.11060).

    Two moments cut the log for everybody: the `shares` quantiles of the purchases' times. Train: rows before the
    first. Valid: each user's last purchase from the first to before the second. Test: each user's final action, a
    purchase, where it lies at or after the second. Everything else is dropped.

    Args:
        users, purchase: as in `split_codes`.
        times: [n] float64 seconds.
        shares: shares of the purchases before the first and before the second moment, 0 < first < second < 1.

    Returns:
        [n] int8, as `split_codes`.
    """
    n = len(users)
    if not n:
        return np.zeros(0, np.int8)
    first, second = np.quantile(times[purchase], shares)
    starts = user_starts(users)
    lengths = np.diff(np.r_[starts, n])
    position = np.arange(n) - np.repeat(starts, lengths)
    candidate = np.where(purchase & (times >= first) & (times < second) & (position > 0), position, -1)
    valid_at = np.repeat(np.maximum.reduceat(candidate, starts), lengths)
    codes = np.full(n, DROPPED, np.int8)
    codes[times < first] = TRAIN
    codes[(valid_at >= 0) & (position == valid_at)] = VALID
    codes[(position == np.repeat(lengths, lengths) - 1) & (times >= second)] = TEST
    codes[position == 0] = NO_ROW
    return codes


def keep_share(users: np.ndarray, codes: np.ndarray, place: np.ndarray, share: float) -> np.ndarray:
    """Codes in which only a share of the users who have training rows keep them; the rows of the others are dropped.

    The users are the first ones by `place`, at least one, so that a smaller share is a part of a larger one.

    Args:
        users: [n] int.
        codes: [n] as above.
        place: by user, the fixed order in which users are taken.
        share: above 0, up to 1.
    """
    training = np.unique(users[codes == TRAIN])
    kept = training[np.argsort(place[training])][: max(1, int(np.ceil(share * len(training))))]
    return np.where((codes == TRAIN) & ~np.isin(users, kept), np.int8(DROPPED), codes)


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


def sequence_lengths(interactions: pd.DataFrame) -> np.ndarray:
    """[users] item actions after the paper's click filter, in order of the users' first rows; at least 1 each."""
    users = pd.factorize(interactions["user_id"])[0]
    items = pd.factorize(interactions["item_id"])[0]
    purchase = (interactions["action"] == "purchase").to_numpy()
    keep = click_filter_mask(users, items, purchase, np.ones(len(users), bool))
    return np.bincount(users[keep], minlength=users.max(initial=-1) + 1)
