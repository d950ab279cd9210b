"""The train/valid/test split of docs/method.md.

A row is RecBole's (prefix -> next item): every item action of a user except the first is the target of one row. On
purchase-only data with at least four item actions per user the split equals RecBole's `LS: valid_and_test`. For shorter
users RecBole keeps the second row (three actions) or the only row (two actions) for training; here the final purchase
is always a test row.
"""

import numpy as np
import pandas as pd

TRAIN, VALID, TEST, DROPPED, NO_ROW = 0, 1, 2, -1, -2
ONE_PART = {"valid_only": VALID, "test_only": TEST}  # RecBole's words for a split with one part beside training


LEAST_ACTIONS = 1_000  # actions from which a log without a repetition counts as one that has none


def user_starts(users: np.ndarray) -> np.ndarray:
    """Indices at which a new user begins in an [n] array that is grouped by user.

    >>> user_starts(np.array([7, 7, 3, 5, 5])).tolist()
    [0, 2, 3]
    """
    return np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.zeros(0, np.int64)


def split_codes(users: np.ndarray, purchase: np.ndarray) -> np.ndarray:
    """Leave-one-out split of the rows whose targets are the item actions.

    Test: the row of the user's final action, a purchase. Valid: the row of the purchase before it, if there is one.
    Train: the rows before the valid row, or before the test row if there is no valid row. Rows between valid and test
    are dropped.

    Args:
        users: [n] int, grouped by user.
        purchase: [n] bool, True for purchases, False for clicks; each user's last action must be a purchase.

    Returns:
        [n] int8: TRAIN 0, VALID 1, TEST 2, DROPPED -1, and NO_ROW -2 for each user's first action.

    >>> users = np.array([1, 1, 1, 1, 1, 2, 2])
    >>> purchase = np.array([False, False, True, False, True, False, True])
    >>> split_codes(users, purchase).tolist()
    [-2, 0, 1, -1, 2, -2, 2]
    """
    n = len(users)
    starts = user_starts(users)
    lengths = np.diff(np.r_[starts, n])
    position = np.arange(n) - np.repeat(starts, lengths)
    last = np.repeat(starts + lengths - 1, lengths)
    is_test = np.arange(n) == last
    # per user the latest purchase that has a row and precedes the test row, -1 if there is none
    candidate = np.where(purchase & ~is_test & (position > 0), position, -1)
    valid = np.repeat(np.maximum.reduceat(candidate, starts) if n else candidate, lengths)
    codes = np.full(n, TRAIN, np.int8)
    codes[(valid >= 0) & (position > valid)] = DROPPED
    codes[(valid >= 0) & (position == valid)] = VALID
    codes[is_test] = TEST
    codes[position == 0] = NO_ROW
    return codes


def training_actions(users: np.ndarray, purchase: np.ndarray) -> np.ndarray:
    """The item actions of a leave-one-out split that belong to training rows alone, for whoever trains beside a run.

    A user's last two actions are left out in any case, also where the split has no validation row.

    Args:
        users, purchase: as in `split_codes`.

    Returns:
        [n] bool.

    >>> users = np.array([1, 1, 1, 1, 1, 2, 2, 2])
    >>> purchase = np.array([True, False, True, False, True, False, False, True])
    >>> training_actions(users, purchase).tolist()
    [True, True, False, False, False, True, False, False]
    """
    codes = split_codes(users, purchase)
    train = codes == TRAIN
    in_training = train | ((codes == NO_ROW) & np.isin(users, users[train]))
    starts = user_starts(users)
    lengths = np.diff(np.r_[starts, len(users)])
    behind = np.repeat(starts + lengths - 1, lengths) - np.arange(len(users))
    return in_training & (behind >= 2)


def one_part_codes(codes: np.ndarray, part: int) -> np.ndarray:
    """Leave-one-out split of which one row per user is left out of training, as RecBole's test_only and valid_only.

    Args:
        codes: [n] int8, as returned by `split_codes`.
        part: TEST or VALID, the part of each user's final purchase; all rows before it are training rows.

    >>> one_part_codes(np.array([-2, 0, 1, -1, 2], np.int8), VALID).tolist()
    [-2, 0, 0, 0, 1]
    """
    return np.where(codes == TEST, part, np.where(codes == NO_ROW, NO_ROW, TRAIN)).astype(np.int8)


def time_split_codes(
    users: np.ndarray, purchase: np.ndarray, times: np.ndarray, shares: tuple[float, float]
) -> np.ndarray:
    """Global time split of the rows (Ji et al., arXiv 2010.11060).

    Two times, the `shares` quantiles of the purchases' timestamps, cut the log of all users. Train: rows before the
    first. Valid: each user's last purchase at or after the first and before the second. Test: each user's final
    action, a purchase, if it is at or after the second. All other rows are dropped.

    Args:
        users, purchase: as in `split_codes`.
        times: [n] float64 seconds.
        shares: shares of the purchases before the first and before the second time, 0 < first < second < 1.

    Returns:
        [n] int8, codes as in `split_codes`.

    >>> users = np.array([1, 1, 1, 2, 2])
    >>> purchase = np.array([True, True, True, True, True])
    >>> time_split_codes(users, purchase, np.array([0.0, 10.0, 30.0, 5.0, 40.0]), (0.4, 0.6)).tolist()
    [-2, 1, 2, -2, 2]
    """
    n = len(users)
    if not n:
        return np.zeros(0, np.int8)
    first, second = np.quantile(times[purchase], shares)
    starts = user_starts(users)
    lengths = np.diff(np.r_[starts, n])
    position = np.arange(n) - np.repeat(starts, lengths)
    candidate = np.where(purchase & (times >= first) & (times < second) & (position > 0), position, -1)
    valid = np.repeat(np.maximum.reduceat(candidate, starts), lengths)
    codes = np.full(n, DROPPED, np.int8)
    codes[times < first] = TRAIN
    codes[(valid >= 0) & (position == valid)] = VALID
    codes[(position == np.repeat(lengths, lengths) - 1) & (times >= second)] = TEST
    codes[position == 0] = NO_ROW
    return codes


def codes_by(
    users: np.ndarray,
    purchase: np.ndarray,
    times: np.ndarray,
    split_by: str,
    time_split: tuple[float, float],
    leave_out: str = "valid_and_test",
) -> np.ndarray:
    """The split of the keys `split_by`, `time_split` and, for leave-one-out, `eval_args: {split: {LS: ..}}`.

    Args:
        users, purchase, times: as in `time_split_codes`.
        split_by: user or time.
        time_split: shares of the purchases.
        leave_out: valid_and_test, valid_only or test_only.
    """
    if split_by == "time":
        return time_split_codes(users, purchase, times, time_split)
    codes = split_codes(users, purchase)
    part = ONE_PART.get(leave_out)
    return codes if part is None else one_part_codes(codes, part)


def keep_share(users: np.ndarray, codes: np.ndarray, user_rank: np.ndarray, share: float) -> np.ndarray:
    """Drop the training rows of all but a share of the users who have training rows.

    The users with the lowest `user_rank` keep their rows, at least one user. The users of a smaller share are a subset
    of those of a larger one.

    Args:
        users: [n] int.
        codes: [n] int8, as returned by `split_codes`.
        user_rank: rank of each user, indexed by user id.
        share: above 0, at most 1.

    Returns:
        [n] int8.

    >>> codes = np.array([-2, 0, 2, -2, 0, 2], np.int8)
    >>> keep_share(np.array([0, 0, 0, 1, 1, 1]), codes, user_rank=np.array([1, 0]), share=0.5).tolist()
    [-2, -1, 2, -2, 0, 2]
    """
    training = np.unique(users[codes == TRAIN])
    keep = training[np.argsort(user_rank[training])][: max(1, int(np.ceil(share * len(training))))]
    return np.where((codes == TRAIN) & ~np.isin(users, keep), np.int8(DROPPED), codes)


def click_filter_mask(
    users: np.ndarray, items: np.ndarray, purchase: np.ndarray, in_training: np.ndarray
) -> np.ndarray:
    """The paper's click filter: drop a click if its user purchases the item, earlier or later.

    Args:
        users, items: [n] int.
        purchase: [n] bool.
        in_training: [n] bool, the purchases to look at; all True is the paper's filter, which looks into the future.

    Returns:
        [n] bool, True for the actions to keep.

    >>> users, items = np.array([1, 1, 1, 1, 2]), np.array([5, 6, 5, 5, 5])
    >>> click_filter_mask(users, items, np.array([False, False, True, False, False]), np.ones(5, bool)).tolist()
    [False, True, True, False, True]
    """
    if not len(users):
        return np.zeros(0, bool)
    pair = users.astype(np.int64) * (int(items.max()) + 1) + items
    purchased = np.unique(pair[purchase & in_training])
    return purchase | ~np.isin(pair, purchased)


def click_filter_keep(
    users: np.ndarray, items: np.ndarray, purchase: np.ndarray, codes: np.ndarray, mode: str
) -> np.ndarray:
    """[n] bool, the actions that the key `click_filter` keeps.

    Args:
        users, items, purchase: as in `click_filter_mask`.
        codes: [n] int8, as returned by `split_codes`.
        mode: none, paper, or train, which looks at purchases of training rows and first actions alone.
    """
    if mode == "none":
        return np.ones(len(users), bool)
    counts = np.ones(len(users), bool) if mode == "paper" else np.isin(codes, (TRAIN, NO_ROW))
    return click_filter_mask(users, items, purchase, counts)


def after_papers_filter(interactions: pd.DataFrame) -> np.ndarray:
    """[n] bool, the item actions that the paper's click filter keeps, which is the strictest.

    Args:
        interactions: columns user_id, item_id, action.
    """
    users, items = (pd.factorize(interactions[name])[0] for name in ("user_id", "item_id"))
    purchase = (interactions["action"] == "purchase").to_numpy()
    return click_filter_mask(users, items, purchase, np.ones(len(users), bool))


def sequence_lengths(interactions: pd.DataFrame) -> np.ndarray:
    """[users] number of item actions after the paper's click filter, in the order of the users' first rows.

    Args:
        interactions: columns user_id, item_id, action.
    """
    users = pd.factorize(interactions["user_id"])[0]
    return np.bincount(users[after_papers_filter(interactions)], minlength=users.max(initial=-1) + 1)


def final_purchases(users: np.ndarray, purchase: np.ndarray) -> np.ndarray:
    """int64 [U] index of each user's final purchase, -1 without one.

    Args:
        users: int [n] users as codes from 0; a user's actions are in the order of time.
        purchase: bool [n].

    >>> final_purchases(np.array([0, 0, 1, 0]), np.array([True, True, False, False])).tolist()
    [1, -1]
    """
    final = np.full(users.max(initial=-1) + 1, -1)
    rows = np.flatnonzero(purchase)
    np.maximum.at(final, users[rows], rows)
    return final


def never_repeats(users: np.ndarray, items: np.ndarray) -> bool:
    """Whether no user takes an item twice in a log, as in review data; False for too few actions to tell.

    >>> never_repeats(np.arange(1000) // 4, np.arange(1000) % 4), never_repeats(np.array([1]), np.array([1]))
    (True, False)
    """
    pairs = np.stack([users, items], axis=1)
    return len(pairs) >= LEAST_ACTIONS and len(np.unique(pairs, axis=0)) == len(pairs)
