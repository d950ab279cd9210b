import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.data.split import (
    DROPPED,
    NO_ROW,
    TEST,
    TRAIN,
    VALID,
    click_filter_mask,
    keep_share,
    never_repeats,
    one_part_codes,
    sequence_lengths,
    split_codes,
    time_split_codes,
    user_starts,
)


def codes(actions: str) -> list[int]:
    """One user's actions, c and p."""
    purchase = np.array([a == "p" for a in actions])
    return split_codes(np.zeros(len(actions), np.int64), purchase).tolist()


@pytest.mark.parametrize("actions", ["cpcpcp", "ccccp", "pp", "ppp", "cppccp"])
def test_one_part_alone(actions):
    """All rows but the final purchase's are training rows; none is dropped."""
    n = len(actions)
    for part in (VALID, TEST):
        whole = np.array(codes(actions), np.int8)
        assert one_part_codes(whole, part).tolist() == [NO_ROW, *[TRAIN] * (n - 2), part]
        assert one_part_codes(whole, part).dtype == np.int8


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("cpcpcp", [NO_ROW, TRAIN, TRAIN, VALID, DROPPED, TEST]),
        ("ccccp", [NO_ROW, TRAIN, TRAIN, TRAIN, TEST]),  # no earlier purchase: no valid row
        ("pccp", [NO_ROW, TRAIN, TRAIN, TEST]),  # the earlier purchase has no row
        ("pp", [NO_ROW, TEST]),
        ("ppp", [NO_ROW, VALID, TEST]),
        ("pppp", [NO_ROW, TRAIN, VALID, TEST]),
        ("cppccp", [NO_ROW, TRAIN, VALID, DROPPED, DROPPED, TEST]),
    ],
)
def test_split_codes_of_one_user(actions, expected):
    assert codes(actions) == expected


def test_split_codes_of_several_users():
    users = np.array([1, 1, 1, 1, 2, 2, 3, 3, 3])
    purchase = np.array([0, 1, 1, 1, 1, 1, 0, 0, 1], bool)
    assert split_codes(users, purchase).tolist() == [
        NO_ROW, TRAIN, VALID, TEST, NO_ROW, TEST, NO_ROW, TRAIN, TEST,
    ]  # fmt: skip


@given(st.lists(st.integers(4, 9), min_size=1, max_size=6))
def test_split_codes_of_purchases_only_are_leave_two_out(lengths):
    users = np.repeat(np.arange(len(lengths)), lengths)
    expected = [code for n in lengths for code in [NO_ROW] + [TRAIN] * (n - 3) + [VALID, TEST]]
    assert split_codes(users, np.ones(len(users), bool)).tolist() == expected


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=8), min_size=1, max_size=5))
def test_one_test_row_per_user_and_training_rows_before_the_valid_row(histories):
    users = np.repeat(np.arange(len(histories)), [len(h) + 1 for h in histories])
    purchase = np.concatenate([np.array([*h, True]) for h in histories])
    all_codes = split_codes(users, purchase)
    for user in range(len(histories)):
        own = all_codes[users == user]
        assert (own == TEST).sum() == 1 and own[-1] == TEST
        assert (own == VALID).sum() <= 1
        if VALID in own:
            assert purchase[users == user][own.tolist().index(VALID)]
            assert np.flatnonzero(own == TRAIN).max(initial=-1) < own.tolist().index(VALID)


def test_click_filter_mask():
    users = np.array([1, 1, 1, 1, 2, 2])
    items = np.array([5, 6, 5, 7, 5, 6])
    purchase = np.array([0, 0, 1, 1, 0, 1], bool)
    everything = np.ones(6, bool)
    assert click_filter_mask(users, items, purchase, everything).tolist() == [False, True, True, True, True, True]
    # the purchase of item 5 is not in training: the click stays
    assert click_filter_mask(users, items, purchase, np.array([1, 1, 0, 0, 1, 1], bool)).all()


def test_time_split_codes():
    users = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
    times = np.array([0, 10, 50, 85, 95, 1, 60, 99, 2, 70], np.float64)
    purchase = np.array([True, True, True, True, True, True, False, True, True, True])
    # nine purchases at 0 1 2 10 50 70 85 95 99: the quantiles 0.625 and 0.875 are 70 and 95
    codes = time_split_codes(users, purchase, times, (0.625, 0.875))
    # user 0 ends in a test row, user 1 too; user 2 has no action at or after 95, its last one is a valid row
    assert codes.tolist() == [NO_ROW, TRAIN, TRAIN, VALID, TEST, NO_ROW, TRAIN, TEST, NO_ROW, VALID]
    # a click cannot be a valid row
    assert time_split_codes(users, np.array([*purchase[:3], False, *purchase[4:]]), times, (0.5, 0.9)).tolist()[3] < 0


def test_time_split_codes_do_not_overlap_in_time():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(50), 8)
    times = np.sort(rng.integers(0, 1000, (50, 8)), axis=1).ravel().astype(np.float64)
    codes = time_split_codes(users, np.ones(400, bool), times, (0.8, 0.9))
    assert times[codes == TRAIN].max() < times[codes == VALID].min() <= times[codes == VALID].max()
    assert times[codes == VALID].max() < times[codes == TEST].min()


def test_keep_share_is_nested_and_changes_training_rows_only():
    users = np.repeat(np.arange(10), 4)
    codes = split_codes(users, np.ones(40, bool))
    rank = np.random.default_rng(1).permutation(10)
    kept = {share: set(users[keep_share(users, codes, rank, share) == TRAIN]) for share in (0.01, 0.1, 0.25, 1.0)}
    assert [len(kept[share]) for share in kept] == [1, 1, 3, 10]
    assert kept[0.01] == kept[0.1] < kept[0.25] < kept[1.0]
    assert kept[0.1] == {int(np.argmin(rank))}
    for other in (VALID, TEST, NO_ROW):
        assert np.array_equal(keep_share(users, codes, rank, 0.1) == other, codes == other)


def test_user_starts():
    assert user_starts(np.array([4, 4, 2, 9, 9, 9])).tolist() == [0, 2, 3]
    assert user_starts(np.zeros(0, np.int64)).tolist() == []


def test_sequence_lengths():
    rows = [
        ("u1", "a", "click"), ("u1", "b", "click"), ("u1", "a", "purchase"), ("u2", "a", "purchase"),
    ]  # fmt: skip
    # u1's click on "a" is filtered, because u1 purchases "a"
    assert sequence_lengths(pd.DataFrame(rows, columns=["user_id", "item_id", "action"])).tolist() == [2, 1]


@pytest.mark.parametrize(("actions", "again", "expected"), [(1000, 0, True), (999, 0, False), (1000, 1, False)])
def test_a_log_without_repetitions(actions, again, expected):
    """Another user may take the same items; item 0 of user 0 comes `again` times more."""
    items = [*range(actions - 2 - again), 0, 1, *[0] * again]
    users = [*[0] * (actions - 2 - again), 1, 1, *[0] * again]
    assert never_repeats(np.asarray(users), np.asarray(items)) is expected
