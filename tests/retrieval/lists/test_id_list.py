import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable
from recbole_llmfashion.retrieval.lists.id_list import IdentityList, IdList, SessionList
from recbole_llmfashion.retrieval.mixup import mixup
from tests.helpers.orders import fixed_orders, full_order


def test_identity_list() -> None:
    # ties by position: 3 0 2 1, so the fixed order is item 1, 3, 2, 0
    ranked = IdentityList([3, 0, 2, 1])
    assert full_order(ranked(torch.tensor([0, 1, 2]))).tolist() == [[0, 1, 3, 2], [1, 3, 2, 0], [2, 1, 3, 0]]
    assert ranked(torch.tensor([], dtype=torch.int64)).shape == (0, 4)


def test_identity_list_without_an_id() -> None:
    assert sorted(full_order(IdentityList([3, 0, 2, 1])(torch.tensor([-1])))[0].tolist()) == [0, 1, 2, 3]


@given(st.integers(1, 40), st.data())
def test_only_the_first_item_of_the_identity_list_depends_on_the_id(n: int, data: st.DataObject) -> None:
    tie = tie_rank([f"item{i}" for i in range(n)])
    item = data.draw(st.integers(0, n - 1))
    order = full_order(IdentityList(tie)(torch.tensor([item])))[0].tolist()
    assert order[0] == item and sorted(order) == list(range(n))
    assert order[1:] == sorted((i for i in range(n) if i != item), key=lambda i: tie[i])


def test_mixup_of_identity_list_and_title_list() -> None:
    ids = IdentityList([5, 4, 3, 2, 1, 0])(torch.tensor([2, 2, 2]))
    titles = fixed_orders([[4, 2, 0, 1, 3, 5]] * 3)
    has_id, has_title = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    fallback = fixed_orders([[0, 1, 2, 3, 4, 5]] * 3)
    # m 1, K 4: the ID; titles 2 to 4 without it; the title list's head; its rest
    assert full_order(mixup(ids, titles, has_id, has_title, fallback, 1, 4, 1)).tolist() == [
        [2, 0, 1, 4, 3, 5],
        [4, 2, 0, 1, 3, 5],
        [2, 5, 4, 3, 1, 0],
    ]
    assert full_order(mixup(ids, titles, has_id, has_title, fallback, 1, 4, 0))[0].tolist() == [2, 4, 0, 1, 3, 5]


TABLE = np.array([[2.0, 0.0], [0.0, 0.1], [3.0, 3.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])


TIE = np.array([5, 4, 3, 2, 1, 0])


def test_id_list() -> None:
    # cosines to row 0: 1, 0, .71, 1, 0, -1; a row of zeros (4) ties with the orthogonal one (1) and has the lower tie
    # cosines to row 2: .71, .71, 1, .71, 0, -.71
    orders = full_order(IdList(TABLE, TIE)(torch.tensor([0, 2])))
    assert orders.tolist() == [[0, 3, 2, 4, 1, 5], [2, 3, 1, 0, 4, 5]]


def test_items_with_equal_embeddings_come_after_the_item_itself() -> None:
    table = np.repeat(np.random.default_rng(0).normal(size=(1, 7)).astype(np.float32), 40, axis=0)
    tie = tie_rank([f"item{i}" for i in range(40)])
    orders = full_order(IdList(table, tie)(torch.arange(40)))
    assert orders[:, 0].tolist() == list(range(40))
    # the rest stand in tie order
    for item, row in enumerate(orders.tolist()):
        assert row[1:] == [i for i in np.argsort(tie).tolist() if i != item]


def test_session_list() -> None:
    # unit rows (1, 0), (0, 1), (.6, .8): items 0 and 1 mean (.5, .5), so 2 at .99 before the tie of 0 and 1
    ranked = SessionList(CosineTable(np.array([[2.0, 0.0], [0.0, 0.5], [3.0, 4.0]]), np.array([2, 1, 0])))
    # alone, 0 is followed by 2 (.6) and 1 (0); 1 by 2 (.8) and 0 (0)
    assert full_order(ranked(torch.tensor([[0, 1], [0, -1], [-1, 1]]))).tolist() == [[2, 1, 0], [0, 2, 1], [1, 2, 0]]
    # what was done three times weighs three times: (3, 1) / 3.16 is 0 at .949, 2 at .822, 1 at .316
    assert full_order(ranked(torch.tensor([[0, 0, 1, 0]]))).tolist() == [[0, 2, 1]]


def test_order_and_gaps_of_a_session_do_not_matter() -> None:
    ranked = SessionList(CosineTable(TABLE, TIE))
    orders = full_order(ranked(torch.tensor([[2, 3, -1, -1], [-1, 2, -1, 3], [3, -1, -1, 2]])))
    assert len({tuple(row) for row in orders.tolist()}) == 1
    assert sorted(full_order(ranked(torch.tensor([[-1, -1]])))[0].tolist()) == [0, 1, 2, 3, 4, 5]
    assert ranked(torch.empty(2, 0, dtype=torch.long)).shape == (2, 6)  # a batch whose prompts show no item
    assert full_order(ranked(torch.tensor([[4]]))).tolist() == [
        [5, 4, 3, 2, 1, 0]
    ]  # a row of zeros says nothing: the fixed order


def test_an_item_behind_the_ranked_ones_is_read_and_not_ranked() -> None:
    # item 3 is (.8, .6) of length 5, nearest to 2 (.96), 0 (.8) and 1 (.6); with 1 the sum is (.8, 1.6): 2, 1, 0
    table = CosineTable(np.array([[2.0, 0.0], [0.0, 0.5], [3.0, 4.0]]), np.array([2, 1, 0]))
    ranked = SessionList(table, np.array([[4.0, 3.0]]))
    assert full_order(ranked(torch.tensor([[3, -1], [3, 1], [0, -1]]))).tolist() == [[2, 0, 1], [2, 1, 0], [0, 2, 1]]
