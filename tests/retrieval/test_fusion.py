"""Reciprocal ranks by hand (C = 10: the head of a list is worth 1/11, the next 1/12, ..) and the choice of weights."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.fusion import GRID, Candidates, fused_order, fused_scores
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


def candidates(lists: Lists, targets: list[int]) -> Candidates:
    found = Candidates(list(lists))
    found.add(lists, torch.tensor(targets))
    return found


def test_ndcg() -> None:
    found = candidates(LISTS, [1, 4])
    assert len(found) == 2
    # equal weights: row 1 has 0 (.1678), 3 (.1742), 1 (.0833), so the target is third; row 2 has it first
    assert found.ndcg(np.array([1.0, 1.0])) == pytest.approx((1 / math.log2(4) + 1) / 2)
    # a alone: second of three, then first
    assert found.ndcg(np.array([1.0, 0.0])) == pytest.approx((1 / math.log2(3) + 1) / 2)
    # b alone: it holds neither, and a score of nothing is no place
    assert found.ndcg(np.array([0.0, 1.0])) == 0.0


def test_ndcg_of_a_target_in_no_list() -> None:
    assert candidates(LISTS, [2, 4]).ndcg(np.array([1.0, 1.0])) == pytest.approx(0.5)


def test_ndcg_below_rank_ten() -> None:
    lists = {"a": torch.arange(12)[None]}
    assert candidates(lists, [9]).ndcg(np.ones(1)) == pytest.approx(1 / math.log2(11))
    assert candidates(lists, [10]).ndcg(np.ones(1)) == 0.0


def test_ties_count_against_the_target() -> None:
    lists = {"a": torch.tensor([[0]]), "b": torch.tensor([[1]])}
    for target in (0, 1):
        assert candidates(lists, [target]).ndcg(np.ones(2)) == pytest.approx(1 / math.log2(3))


def test_rows_may_be_added_one_by_one() -> None:
    apart = Candidates(list(LISTS))
    for row, target in enumerate((1, 4)):
        apart.add({name: positions[row : row + 1] for name, positions in LISTS.items()}, torch.tensor([target]))
    weights = np.array([1.0, 0.25])
    assert len(apart) == 2 and apart.ndcg(weights) == candidates(LISTS, [1, 4]).ndcg(weights)


def test_best_weights_prefer_the_better_list() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 40, 30)
    noise = np.stack([rng.permutation(40)[:10] for _ in targets])
    knows = np.stack([np.r_[target, (target + 1 + np.arange(3)) % 40] for target in targets])
    lists = {"noise": torch.from_numpy(noise), "knows": torch.from_numpy(knows)}
    found = candidates(lists, targets.tolist())
    # equal weights: noise's head ties with the target, and is before it
    assert found.ndcg(np.ones(2)) < 1.0
    weights, score = found.best_weights()
    assert score == 1.0 and weights["knows"] > weights["noise"]
    noise_alone, _ = candidates(
        {"noise": lists["noise"], "none": torch.full((30, 1), -1)}, targets.tolist()
    ).best_weights()
    assert noise_alone["none"] == 1.0  # a list without an item changes nothing, so its weight stays


def test_best_weights_without_rows() -> None:
    assert Candidates(["a", "b"]).best_weights() == ({"a": 1.0, "b": 1.0}, 0.0)


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 3))
def test_best_weights_are_of_the_grid_and_not_worse_than_equal_ones(seed: int, rows: int, names: int) -> None:
    rng = np.random.default_rng(seed)
    lists = {
        f"list{i}": torch.from_numpy(np.stack([rng.permutation(12)[:5] for _ in range(rows)])) for i in range(names)
    }
    found = candidates(lists, rng.integers(0, 12, rows).tolist())
    weights, score = found.best_weights()
    assert set(weights.values()) <= {*GRID, 1.0} and list(weights) == list(lists)
    assert score >= found.ndcg(np.ones(names)) and score == found.ndcg(np.array(list(weights.values())))


@given(st.integers(0, 2**31), st.integers(2, 9))
def test_ndcg_equals_that_of_the_fused_scores(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    lists = {name: torch.from_numpy(rng.permutation(n)[None, : max(1, n - 2)]) for name in ("a", "b")}
    weights = {"a": 1.0, "b": math.pi}
    scores = fused_scores(lists, weights, n)[0]
    target = int(rng.integers(0, n))
    rank = int((scores >= scores[target]).sum())
    expected = 1 / math.log2(rank + 1) if scores[target] > 0 else 0.0
    assert candidates(lists, [target]).ndcg(np.array(list(weights.values()))) == pytest.approx(expected)
