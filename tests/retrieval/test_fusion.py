"""Reciprocal ranks by hand: C = 10, so the head of a list is worth 1/11, the next 1/12."""

import numpy as np
import pytest
import torch

from recbole_llmfashion.retrieval.fusion import fused_order, fused_scores
from tests.helpers.orders import fixed_orders, full_order

Lists = dict[str, torch.Tensor]
# five items; the second row has no `b`
LISTS: Lists = {"a": torch.tensor([[3, 1, 0], [4, -1, -1]]), "b": torch.tensor([[0, 3, -1], [-1, -1, -1]])}


def test_fused_scores() -> None:
    scores = fused_scores(LISTS, {"a": 1.0, "b": 2.0}, 5)
    assert scores.dtype == torch.float64 and scores.shape == (2, 5)
    # item 0: third of a, first of b; 1: second of a; 3: first of a, second of b
    expected = [[1 / 13 + 2 / 11, 1 / 12, 0, 1 / 11 + 2 / 12, 0], [0, 0, 0, 0, 1 / 11]]
    assert scores.numpy() == pytest.approx(np.array(expected))


def test_weights_change_the_order() -> None:
    lists = {"a": torch.tensor([[0, 1, 2]]), "b": torch.tensor([[3, 1, 4]])}
    # 0: .0909  1: .0833 + .0833  2: .0769  3: .0909  4: .0769; b at two: 3 .1818, 1 .25, 4 .1538, 0 .0909, 2 .0769
    assert fused_scores(lists, {"a": 1.0, "b": 2.0}, 5).argsort(descending=True).tolist() == [[1, 3, 4, 0, 2]]
    assert fused_scores(lists, {"a": 2.0, "b": 0.5}, 5).argsort(descending=True).tolist() == [[1, 0, 2, 3, 4]]


def test_every_place_of_the_taken_items_is_the_first() -> None:
    lists = {"a": torch.tensor([[0, 1]]), "taken": torch.tensor([[2, -1, 1]])}
    scores = fused_scores(lists, {"a": 1.0, "taken": -2.0}, 3)
    assert scores[0].tolist() == pytest.approx([1 / 11, 1 / 12 - 2 / 11, -2 / 11])


def test_gaps_and_missing_weights() -> None:
    lists = {"a": torch.tensor([[-1, 2]]), "b": torch.tensor([[0, 1]])}
    scores = fused_scores(lists, {"a": 1.0}, 3)
    assert scores.tolist() == [[0, 0, 1 / 12]]
    assert fused_scores(lists, {}, 3).tolist() == [[0, 0, 0]]
    assert fused_scores({"a": torch.empty(2, 0, dtype=torch.int64)}, {"a": 1.0}, 3).tolist() == [[0] * 3] * 2


def test_fused_order() -> None:
    order = fixed_orders([[4, 3, 2, 1, 0], [0, 1, 2, 3, 4]])
    # row 1: 0 (.2587), 3 (.2576), 1 (.0833), then what no list holds as it stood; row 2: 4, then as it stood
    assert full_order(fused_order(order, LISTS, {"a": 1.0, "b": 2.0})).tolist() == [[0, 3, 1, 4, 2], [4, 0, 1, 2, 3]]
    # an item in no list with a weight keeps its place
    assert full_order(fused_order(order, LISTS, {"b": 1.0})).tolist() == [[0, 3, 4, 2, 1], [0, 1, 2, 3, 4]]
    assert torch.equal(full_order(fused_order(order, LISTS, {})), full_order(order))
