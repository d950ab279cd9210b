"""Cosines of items by their common users, and the ranking by them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from recbole_llmfashion.retrieval.lists import common_users, neighbor_list
from recbole_llmfashion.retrieval.lists.common_users import CommonUsers
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList, best_of_product, best_scored

ACTIONS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=30)
TAKEN = st.lists(st.lists(st.integers(-1, 6), min_size=4, max_size=4), min_size=1, max_size=5)


def counted(actions, items=7):
    return CommonUsers.count(*np.array(actions).T, items)


def test_cosines_by_hand():
    # u0 a, b, b; u1 a, b, c; u2 c, d; an action that occurs twice counts once
    counts = counted([(0, 0), (0, 1), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3)], 5)
    assert counts.users.tolist() == [2, 2, 2, 1, 0]
    assert counts.pairs.toarray()[:3, 1:4].tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 1]]
    half, root = 0.5, 1 / np.sqrt(2)
    expected = [[0, 1, half, 0, 0], [1, 0, half, 0, 0], [half, half, 0, root, 0], [0, 0, root, 0, 0], [0] * 5]
    np.testing.assert_allclose(counts.cosines().toarray(), expected)


@given(ACTIONS)
def test_cosines_are_symmetric_and_at_most_one(actions):
    cosine = counted(actions).cosines().toarray()
    assert (cosine == cosine.T).all()
    assert (cosine <= 1 + 1e-12).all() and (cosine >= 0).all() and (np.diag(cosine) == 0).all()


def test_of_a_user_with_many_items_the_newest_count(monkeypatch, caplog):
    """u0 a, b, c, a, d: the newest three are d, a and c; u1 b, c, d has no more than three."""
    log = [(0, 0), (0, 1), (1, 1), (0, 2), (0, 0), (1, 2), (0, 3), (1, 3)]
    whole = counted(log, 4)
    assert whole.users.tolist() == [1, 2, 2, 2] and whole.pairs.nnz == 6 and whole.cut == 0 and not caplog.messages
    monkeypatch.setattr(common_users, "MOST_ITEMS", 3)
    counts = counted(log, 4)
    assert counts.users.tolist() == [1, 1, 2, 2] and counts.cut == counts.at_least(2).cut == 1
    assert counts.pairs.toarray().tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 2], [0, 0, 0, 0]]
    assert caplog.messages == [
        "neighbors: only the newest 3 distinct items of a user count; users with more: 1; "
        "user_inter_num_interval leaves them out"
    ]


@given(ACTIONS, st.integers(1, 8))
def test_the_newest_items_are_those_of_the_log_without_the_others(actions, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common_users, "MOST_ITEMS", most)
        counts = counted(actions)
    kept = []
    for user in range(6):
        newest = list(dict.fromkeys(item for of, item in reversed(actions) if of == user))
        kept += [(user, item) for item in newest[:most]]
    expected, more = counted(kept), {user for user, _ in actions if len({i for u, i in actions if u == user}) > most}
    assert counts.cut == len(more) and np.array_equal(counts.users, expected.users)
    for name, array in expected.arrays().items():
        assert np.array_equal(counts.arrays()[name], array)


def test_pairs_of_one_user_are_bounded():
    """Of 2,500 items of one user 2,000 count, so 2,000 * 1,999 / 2 pairs."""
    counts = CommonUsers.count(np.zeros(2500, np.int64), np.arange(2500), 2500)
    assert counts.users.tolist() == [0] * 500 + [1] * 2000 and counts.pairs.nnz == 1_999_000 and counts.cut == 1


def test_pairs_of_few_users_can_be_left_out():
    counts = counted([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)], 3)  # a and b by two users; c by one of them
    assert counts.at_least(1) is counts
    kept = counts.at_least(2)
    assert kept.users.tolist() == [2, 2, 1] and kept.pairs.nnz == 1 and kept.pairs[0, 1] == 2
    assert kept.arrays()["item"].tolist() == [1] and counts.pairs.nnz == 3


@given(ACTIONS)
def test_arrays_hold_the_counts_and_no_user(actions):
    arrays = counted(actions).arrays()
    again = CommonUsers.from_arrays(arrays)
    assert (again.cosines() != counted(actions).cosines()).nnz == 0
    renamed = counted([(5 - user, item) for user, item in actions]).arrays()
    assert all(np.array_equal(arrays[name], renamed[name]) for name in arrays)


ARRAYS = counted([(0, 0), (0, 1), (1, 1), (1, 2)], 3).arrays()  # pairs (0, 1) and (1, 2)


@pytest.mark.parametrize(
    "changes",
    [{"first": [0, 1, 2]}, {"first": [0, 2, 1, 2]}, {"first": [1, 1, 2, 2]}, {"first": [0, 1, 2, 3]},
     {"item": [1, 1]}, {"item": [1, 3]}, {"item": [1]}, {"common": [1, 0]}, {"common": [1, 2]}, {"users": [1, 2]},
     {"first": [0, 2, 2, 2], "item": [1, 1]}, {"first": [0, 2, 2, 2], "item": [2, 1]}],
    ids=str,
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(changes):
    assert ARRAYS["first"].tolist() == [0, 1, 2, 2] and ARRAYS["item"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="expected pairs"):
        CommonUsers.from_arrays(ARRAYS | {name: np.asarray(value) for name, value in changes.items()})


def test_the_list_by_hand():
    """u0 a, b; u1 a, b, c; u2 c, d: cos(a, b) 1, cos(a, c) and (b, c) .5, cos(c, d) .71."""
    cosines = counted([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3)], 5).cosines()
    ranks = NeighborList(cosines, np.arange(5), 10)
    # a, then c: d .71, a .5 and b .5 of c, and half of b 1 and c .5 of a: b 1.0, d .71, a .5, c .25
    taken = torch.tensor([[0, 2, -1], [-1, 0, 2], [-1, -1, -1], [4, -1, -1]])
    assert ranks.top(taken, 5).tolist() == [[1, 3, 0, 2, -1]] * 2 + [[-1] * 5] * 2
    assert ranks.top(taken[:1], 2).tolist() == [[1, 3]]
    # c, then a: b 1.25, c .5, d .35, a .25; without ages d would be before c
    assert ranks.top(torch.tensor([[2, 0]]), 4).tolist() == [[1, 2, 3, 0]]
    newest = NeighborList(cosines, np.arange(5), 1)
    assert newest.top(taken[:1], 5).tolist() == [[3, 0, 1, -1, -1]]
    assert NeighborList(cosines, np.arange(5)[::-1].copy(), 1).top(taken[:1], 3).tolist() == [[3, 1, 0]]  # ties


@given(ACTIONS, TAKEN, st.integers(1, 3))
def test_the_list_is_the_head_of_the_scores(actions, taken, history):
    tie = np.random.default_rng(0).permutation(7)
    ranks = NeighborList(counted(actions).cosines(), tie, history)
    scores = ranks.scores(torch.tensor(taken)).toarray()
    for row, head in enumerate(ranks.top(torch.tensor(taken), 4).tolist()):
        order = sorted(np.flatnonzero(scores[row]), key=lambda item: (-scores[row, item], tie[item]))
        assert head == (order + [-1] * 4)[:4]


def test_the_best_by_hand():
    """Row 0 has 3, 2 and three times 1, of which item 2 has the first tie rank and item 3 the next; row 1 has two."""
    scores = sparse.csr_array(np.array([[2.0, 1.0, 1.0, 1.0, 3.0], [0.0, 0.0, 0.5, 0.0, 0.5]]))
    tie = np.array([0, 4, 1, 2, 3])
    assert best_scored(scores, tie, 3).tolist() == [[4, 0, 2], [2, 4, -1]]
    assert best_scored(scores, tie, 4).tolist() == [[4, 0, 2, 3], [2, 4, -1, -1]]
    assert best_scored(scores, tie, 1).tolist() == [[4], [2]]
    assert best_scored(scores[:0], tie, 2).shape == (0, 2)


SCORES = st.lists(st.lists(st.sampled_from([0.0, 0.5, 0.5, 1.0, 2.0]), min_size=9, max_size=9), min_size=1, max_size=4)


@given(SCORES, st.permutations(range(9)), st.integers(1, 11))
def test_the_best_are_those_of_a_full_sort(rows, tie, depth):
    heads = best_scored(sparse.csr_array(np.array(rows)), np.array(tie), depth)
    for row, head in zip(rows, heads.tolist(), strict=True):
        order = sorted((item for item in range(9) if row[item]), key=lambda item: (-row[item], tie[item]))
        assert head == [*order[:depth], *[-1] * (depth - len(order))]


def test_only_what_is_listed_is_sorted(monkeypatch):
    """Of two rows with 500 scores each, 250 of them equal, no more than the ten that are listed."""
    sizes, lexsort = [], np.lexsort
    monkeypatch.setattr(np, "lexsort", lambda keys: sizes.append(len(keys[0])) or lexsort(keys))
    scores = np.tile(np.r_[np.ones(250), np.linspace(0.5, 0.9, 250)], (2, 1))
    assert best_scored(sparse.csr_array(scores), np.arange(500), 10).tolist() == [list(range(10))] * 2
    assert sizes == [20]


def test_scores_are_held_in_parts(monkeypatch):
    """The rows read 2, 2, 4, 0 and 2 entries of the table; of three items no row has more than three scores."""
    table = sparse.csr_array(np.array([[1.0, 0.0, 2.0], [3.0, 4.0, 0.0]]))
    weights = sparse.csr_array(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
    held = []

    def kept(scores, *rest):
        held.append(scores.nnz)
        return best_scored(scores, *rest)

    monkeypatch.setattr(neighbor_list, "best_scored", kept)
    expected = [[2, 0, -1], [1, 0, -1], [0, 1, 2], [-1] * 3, [2, 0, -1]]  # tie ranks decide between 1 and 0 of row 2
    for most, parts in ((2**22, [9]), (4, [4, 3, 2]), (5, [4, 5]), (1, [2, 2, 3, 0, 2])):
        monkeypatch.setattr(neighbor_list, "ENTRIES", most)
        assert best_of_product(weights, table, np.arange(3), 3).tolist() == expected
        assert held == parts
        held.clear()


@given(ACTIONS, TAKEN, st.sets(st.integers(0, 9), min_size=1))
def test_among_some_items_the_order_is_the_same(actions, taken, kept):
    """Items 7 to 9 are new; a history item that is not kept is not read."""
    tie, items = np.random.default_rng(0).permutation(10), np.asarray(sorted(kept))
    whole = NeighborList(counted(actions).cosines(), tie[:7], 10)
    place = {item: at for at, item in enumerate(items.tolist())}
    some = whole.among(items, tie[items]).top(torch.tensor([[place.get(i, -1) for i in row] for row in taken]), 10)
    known = torch.tensor([[item if item in kept else -1 for item in row] for row in taken])
    for mine, theirs in zip(some.tolist(), whole.top(known, 7).tolist(), strict=True):
        assert [int(items[at]) for at in mine if at >= 0] == [item for item in theirs if item in kept]


def test_an_item_behind_the_ranked_ones_is_read_and_not_ranked():
    """As in `test_the_list_by_hand`, with b removed: a is its neighbour by 1, c by .5."""
    cosines = counted([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3)], 5).cosines()
    ranks = NeighborList(cosines, np.arange(5), 10).among(np.array([0, 2, 3, 4, 1]), np.arange(4))
    # b, then a and b: half of a 1 and c .5 of b, and c .5 of a
    assert ranks.top(torch.tensor([[4, -1], [4, 0]]), 3).tolist() == [[0, 1, -1], [1, 0, -1]]
