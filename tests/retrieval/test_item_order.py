import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.item_order import HeadThenRest
from tests.helpers.orders import told, whole


def lead(order: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    return whole(HeadThenRest(first, told(order)))


def test_literal_rows() -> None:
    order = torch.tensor([[3, 1, 0, 2], [0, 1, 2, 3], [2, 3, 1, 0], [1, 0, 3, 2]])
    first = torch.tensor([[2, 0, -1], [-1, -1, -1], [-1, 0, 3], [0, 2, 0]])
    # none named; a gap at the head counts for nothing; of an item that is named twice the first place counts
    assert lead(order, first).tolist() == [[2, 0, 3, 1], [0, 1, 2, 3], [0, 3, 2, 1], [0, 2, 1, 3]]


def test_an_item_named_twice_keeps_its_first_place_whatever_stands_between() -> None:
    assert lead(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[3, 1, 3, 2, 1]])).tolist() == [[3, 1, 2, 0]]


def test_nobody_to_lead() -> None:
    order = torch.tensor([[2, 0, 1], [0, 2, 1]])
    assert lead(order, torch.empty(2, 0, dtype=torch.int64)).tolist() == order.tolist()
    assert lead(order[:0], torch.empty(0, 2, dtype=torch.int64)).shape == (0, 3)


def by_the_loop(order: list[int], first: list[int]) -> list[int]:
    return list(dict.fromkeys([item for item in first if item >= 0] + order))


@given(st.data(), st.integers(1, 8), st.integers(0, 10), st.integers(1, 4))
def test_agrees_with_a_loop(data: st.DataObject, n: int, k: int, rows: int) -> None:
    orders = [data.draw(st.permutations(range(n))) for _ in range(rows)]
    firsts = [data.draw(st.lists(st.integers(-1, n - 1), min_size=k, max_size=k)) for _ in range(rows)]
    given_order, given_first = torch.tensor(orders), torch.tensor(firsts, dtype=torch.int64).reshape(rows, k)
    before = given_order.clone(), given_first.clone()
    found = lead(given_order, given_first).tolist()
    assert found == [by_the_loop(list(order), first) for order, first in zip(orders, firsts, strict=True)]
    assert torch.equal(given_order, before[0]) and torch.equal(given_first, before[1])
