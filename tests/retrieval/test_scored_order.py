"""Heads and counts by tiles against a sort of everything; scores are whole numbers, so they are equal in any order."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recbole_llmfashion.retrieval import cosine_table
from recbole_llmfashion.retrieval.cosine_table import CosineTable, distinct_rows
from recbole_llmfashion.retrieval.item_order import drop_duplicates, positions_in, rank_among, top_without
from recbole_llmfashion.retrieval.scored_order import ScoredOrder, WholeTable
from recbole_llmfashion.retrieval.ties import head_by_score, order_by_score
from tests.helpers.orders import told, whole


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 14), st.integers(1, 4), st.integers(0, 15))
def test_a_head_is_the_head_of_the_sorted_whole(seed: int, n: int, levels: int, k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores, tie = torch.randint(levels, (3, n), generator=generator).float(), torch.randperm(n, generator=generator)
    assert torch.equal(head_by_score(scores, tie, k), order_by_score(scores, tie)[:, :k])
    assert torch.equal(whole(ScoredOrder(WholeTable(tie), scores)), order_by_score(scores, tie))


def test_a_head_has_no_order_where_a_score_is_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        head_by_score(torch.tensor([[0.1, 0.2, float("nan"), 0.3]]), torch.arange(4), 2)


@settings(max_examples=40, deadline=None)
@example(0, 3, 1)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 5))
def test_tiles_change_nothing(seed: int, n: int, tile: int) -> None:
    """Unit rows along the axes: products are exact, and nearly every score is a tie."""
    generator = np.random.default_rng(seed)
    vectors = np.eye(4, dtype=np.float32)[generator.integers(4, size=n)] * generator.integers(1, 4, (n, 1))
    tie, queries = generator.permutation(n), torch.from_numpy(generator.integers(0, 3, (4, 4)).astype(np.float32))
    one_tile = whole(CosineTable(vectors, tie).ranked(queries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosine_table, "TILE", tile)
        table = CosineTable(vectors, tie)
        assert sum(scores.shape[1] for _, scores in table.tiles(queries)) == n
        assert torch.equal(whole(table.ranked(queries)), one_tile)
        first = torch.from_numpy(generator.integers(0, n, 4))
        assert whole(table.ranked(queries, first))[:, 0].tolist() == first.tolist()


def test_distinct_rows_in_the_order_of_their_first_places() -> None:
    rows = np.array([[1, 2], [0, 0], [1, 2], [3, 4], [-0.0, 0.0]], np.float32)
    distinct, number = distinct_rows(rows)
    assert distinct.tolist() == [[1, 2], [0, 0], [3, 4]] and number.tolist() == [0, 1, 0, 2, 1]
    assert distinct_rows(np.empty((0, 3)))[0].shape == (0, 3)


def test_rows_of_one_key_are_still_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ones:
        def integers(self, *_: object) -> np.ndarray:
            return np.ones(2, np.uint64)

    monkeypatch.setattr(np.random, "default_rng", lambda _: Ones())
    distinct, number = distinct_rows(np.array([[1, 2], [2, 1], [1, 2]], np.float32))
    assert distinct.tolist() == [[1, 2], [2, 1]] and number.tolist() == [0, 1, 0]


def test_packed_and_places_literal() -> None:
    assert drop_duplicates(torch.tensor([[-1, 3, 3, 0, -1, 3, 1]])).tolist() == [[3, 0, 1, -1, -1, -1, -1]]
    among = torch.tensor([[4, 2, -1, -1], [0, 1, 2, 3]])
    assert positions_in(among, torch.tensor([[2, 3, 4, -1], [3, 0, 9, -1]])).tolist() == [
        [1, -1, 0, -1],
        [3, 0, -1, -1],
    ]


def test_what_is_left_out_comes_last_by_the_fixed_order() -> None:
    tie = torch.tensor([3, 0, 2, 1, 4])
    order, out = told([[4, 3, 2, 1, 0]] * 2), torch.tensor([[4, 2, 1], [-1, -1, -1]])
    # left: 3, 0; then 1, 2, 4 by their tie ranks 0, 2, 4
    assert top_without(order, 5, out, tie).tolist() == [[3, 0, 1, 2, 4], [4, 3, 2, 1, 0]]
    assert [rank_among(order, torch.tensor([item, item]), out, tie).tolist() for item in range(5)] == [
        [2, 5],
        [3, 4],
        [4, 3],
        [1, 2],
        [5, 1],
    ]
