import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.ties import head_by_score, order_by_score, rank_of, scores_from_order

INF = float("inf")


def test_order_by_score() -> None:
    tie = torch.tensor([3, 0, 2, 1])
    scores = torch.tensor([[0.5, 0.1, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0], [-INF, 2.0, -INF, INF]])
    assert order_by_score(scores, tie).tolist() == [[3, 2, 0, 1], [1, 3, 2, 0], [3, 1, 2, 0]]


def test_nan() -> None:
    scores = torch.tensor([[0.5, float("nan")]])
    with pytest.raises(ValueError, match="NaN"):
        order_by_score(scores, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="NaN"):
        rank_of(scores, torch.tensor([0]), torch.tensor([0, 1]))


def test_scores_from_order() -> None:
    scores = scores_from_order(torch.tensor([[2, 0, 1], [0, 1, 2]]))
    assert scores.dtype == torch.float32
    assert scores.tolist() == [[2.0, 1.0, 3.0], [3.0, 2.0, 1.0]]


def test_scores_from_order_of_too_many_items() -> None:
    # meta device: the shape without 67 MB of memory
    with pytest.raises(ValueError, match="16777216"):
        scores_from_order(torch.empty(1, 2**24 + 1, dtype=torch.int64, device="meta"))


def test_rank_of() -> None:
    tie = torch.tensor([3, 0, 2, 1])
    scores = torch.tensor([[0.5, 0.1, 0.5, 0.5], [-INF, -INF, -INF, -INF], [1.0, 2.0, -INF, INF]])
    assert rank_of(scores, torch.tensor([0, 0, 0]), tie).tolist() == [3, 4, 3]
    assert rank_of(scores, torch.tensor([1, 1, 1]), tie).tolist() == [4, 1, 2]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 3))
def test_rank_order_and_scores_agree(seed: int, n: int, levels: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(levels, (4, n), generator=generator).float()
    tie = torch.randperm(n, generator=generator)
    order = order_by_score(scores, tie)
    again = scores_from_order(order)
    for position in range(n):
        target = torch.full((4,), position)
        assert torch.equal(rank_of(scores, target, tie), rank_of(again, target, tie))
        assert torch.equal(rank_of(scores, target, tie), (order == position).int().argmax(dim=1) + 1)


def test_head_by_score_of_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        head_by_score(torch.tensor([[0.1, 0.2, float("nan"), 0.3]]), torch.arange(4), 2)
