import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.item_order import HeadThenRest, drop_duplicates, positions_in, rank_among, top_without
from tests.helpers.orders import fixed_orders, full_order


def lead(order: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    return full_order(HeadThenRest(first, fixed_orders(order)))


def test_head_then_rest() -> None:
    order = torch.tensor([[3, 1, 0, 2], [0, 1, 2, 3], [2, 3, 1, 0], [1, 0, 3, 2]])
    first = torch.tensor([[2, 0, -1], [-1, -1, -1], [-1, 0, 3], [0, 2, 0]])
    # none named; a gap at the head counts for nothing; of an item that is named twice the first place counts
    assert lead(order, first).tolist() == [[2, 0, 3, 1], [0, 1, 2, 3], [0, 3, 2, 1], [0, 2, 1, 3]]


def test_repeated_items_keep_their_first_place() -> None:
    assert lead(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[3, 1, 3, 2, 1]])).tolist() == [[3, 1, 2, 0]]


def test_empty_head() -> None:
    order = torch.tensor([[2, 0, 1], [0, 2, 1]])
    assert lead(order, torch.empty(2, 0, dtype=torch.int64)).tolist() == order.tolist()
    assert lead(order[:0], torch.empty(0, 2, dtype=torch.int64)).shape == (0, 3)


def expected_order(order: list[int], first: list[int]) -> list[int]:
    return list(dict.fromkeys([item for item in first if item >= 0] + order))


@given(st.data(), st.integers(1, 8), st.integers(0, 10), st.integers(1, 4))
def test_head_then_rest_equals_a_loop(data: st.DataObject, n: int, k: int, rows: int) -> None:
    orders = [data.draw(st.permutations(range(n))) for _ in range(rows)]
    firsts = [data.draw(st.lists(st.integers(-1, n - 1), min_size=k, max_size=k)) for _ in range(rows)]
    given_order, given_first = torch.tensor(orders), torch.tensor(firsts, dtype=torch.int64).reshape(rows, k)
    before = given_order.clone(), given_first.clone()
    found = lead(given_order, given_first).tolist()
    assert found == [expected_order(list(order), first) for order, first in zip(orders, firsts, strict=True)]
    assert torch.equal(given_order, before[0]) and torch.equal(given_first, before[1])


def test_drop_duplicates_and_positions_in() -> None:
    assert drop_duplicates(torch.tensor([[-1, 3, 3, 0, -1, 3, 1]])).tolist() == [[3, 0, 1, -1, -1, -1, -1]]
    among = torch.tensor([[4, 2, -1, -1], [0, 1, 2, 3]])
    assert positions_in(among, torch.tensor([[2, 3, 4, -1], [3, 0, 9, -1]])).tolist() == [
        [1, -1, 0, -1],
        [3, 0, -1, -1],
    ]


def test_rank_among_and_top_without() -> None:
    tie = torch.tensor([3, 0, 2, 1, 4])
    order, out = fixed_orders([[4, 3, 2, 1, 0]] * 2), torch.tensor([[4, 2, 1], [-1, -1, -1]])
    # left: 3, 0; then 1, 2, 4 by their tie ranks 0, 2, 4
    assert top_without(order, 5, out, tie).tolist() == [[3, 0, 1, 2, 4], [4, 3, 2, 1, 0]]
    assert [rank_among(order, torch.tensor([item, item]), out, tie).tolist() for item in range(5)] == [
        [2, 5],
        [3, 4],
        [4, 3],
        [1, 2],
        [5, 1],
    ]
