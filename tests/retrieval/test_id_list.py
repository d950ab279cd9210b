import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.retrieval.id_list import IdentityList
from recbole_llmfashion.retrieval.mixup import mixup
from tests.helpers.orders import told, whole


def test_the_item_itself_and_then_the_fixed_order() -> None:
    # ties by position: 3 0 2 1, so the fixed order is item 1, 3, 2, 0
    ranked = IdentityList([3, 0, 2, 1])
    assert whole(ranked(torch.tensor([0, 1, 2]))).tolist() == [[0, 1, 3, 2], [1, 3, 2, 0], [2, 1, 3, 0]]
    assert ranked(torch.tensor([], dtype=torch.int64)).shape == (0, 4)


def test_no_id_still_gives_a_permutation() -> None:
    assert sorted(whole(IdentityList([3, 0, 2, 1])(torch.tensor([-1])))[0].tolist()) == [0, 1, 2, 3]


@given(st.integers(1, 40), st.data())
def test_every_item_has_one_place_and_nothing_but_the_first_depends_on_the_id(n: int, data: st.DataObject) -> None:
    tie = tie_rank([f"item{i}" for i in range(n)])
    item = data.draw(st.integers(0, n - 1))
    order = whole(IdentityList(tie)(torch.tensor([item])))[0].tolist()
    assert order[0] == item and sorted(order) == list(range(n))
    assert order[1:] == sorted((i for i in range(n) if i != item), key=lambda i: tie[i])


def test_mixup_takes_the_id_and_goes_on_with_the_title_list() -> None:
    ids = IdentityList([5, 4, 3, 2, 1, 0])(torch.tensor([2, 2, 2]))
    titles = told([[4, 2, 0, 1, 3, 5]] * 3)
    has_id, has_title = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    fallback = told([[0, 1, 2, 3, 4, 5]] * 3)
    # m 1, K 4: the ID; titles 2 to 4 without it; the title list's head; its rest
    assert whole(mixup(ids, titles, has_id, has_title, fallback, 1, 4, 1)).tolist() == [
        [2, 0, 1, 4, 3, 5],
        [4, 2, 0, 1, 3, 5],
        [2, 5, 4, 3, 1, 0],
    ]
    assert whole(mixup(ids, titles, has_id, has_title, fallback, 1, 4, 0))[0].tolist() == [2, 4, 0, 1, 3, 5]
