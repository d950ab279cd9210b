from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.lists import cosine_table
from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable, distinct_rows
from tests.helpers.orders import full_order

TABLE = np.array([[2.0, 0.0], [0.0, 0.1], [3.0, 3.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])


TIE = np.array([5, 4, 3, 2, 1, 0])


def test_rank() -> None:
    # cosines to (1, 0): 1, 0, .71, 1, 0, -1; to (0, 2): 0, 1, .71, 0, 0, 0
    order = CosineTable(TABLE, TIE).rank(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    assert full_order(order).tolist() == [[3, 0, 2, 4, 1, 5], [1, 2, 5, 4, 3, 0]]


def test_rank_with_first_items() -> None:
    order = CosineTable(TABLE, TIE).rank(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), first=torch.tensor([5, 0]))
    assert full_order(order).tolist() == [[5, 3, 0, 2, 4, 1], [0, 3, 2, 4, 1, 5]]


def test_rank_with_approximate_search() -> None:
    # the items that the search finds come first, in exact order; the others follow
    order = CosineTable(TABLE, TIE, lambda rows: lambda queries, k: np.array([[2, 0, -1]])).rank(torch.eye(2)[:1])
    assert full_order(order).tolist() == [[0, 2, 3, 4, 1, 5]]
    order = CosineTable(TABLE, TIE, lambda rows: lambda queries, k: np.array([[5, -1, -1]])).rank(torch.eye(2)[:1])
    assert full_order(order).tolist() == [[5, 3, 0, 2, 4, 1]]


def test_score_and_vectors() -> None:
    table = CosineTable(TABLE, TIE)
    assert table.width == 2
    assert table.vectors(torch.tensor([0, 4, 5])).tolist() == [[1, 0], [0, 0], [-1, 0]]
    scores = table.score(torch.tensor([[3.0, 4.0]]), torch.tensor([[0, 1, 5, 4]]))
    assert scores.tolist() == [[3, 4, -3, 0]]


def test_equal_rows_have_equal_scores() -> None:
    # in a plain matrix product equal rows differ in the last bit, depending on their block
    for width, batch in product((7, 24, 100), (1, 2, 3, 16)):
        generator = np.random.default_rng(3)
        vectors = np.repeat(generator.normal(size=(3, width)).astype(np.float32), 111, axis=0)
        shuffled, tie = generator.permutation(333), generator.permutation(333)
        queries = torch.from_numpy(generator.normal(size=(batch, width)).astype(np.float32))
        for row in CosineTable(vectors[shuffled], tie).rank(queries).top(333).tolist():
            assert (np.diff(tie[row].reshape(3, 111), axis=1) > 0).all(), (width, batch)


def test_vectors_and_tie_ranks_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="6 rows but 5"):
        CosineTable(TABLE, TIE[:5])


@settings(max_examples=40, deadline=None)
@example(0, 3, 1)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 5))
def test_tiles_do_not_change_the_order(seed: int, n: int, tile: int) -> None:
    """Unit rows along the axes: products are exact, and nearly every score is a tie."""
    generator = np.random.default_rng(seed)
    vectors = np.eye(4, dtype=np.float32)[generator.integers(4, size=n)] * generator.integers(1, 4, (n, 1))
    tie, queries = generator.permutation(n), torch.from_numpy(generator.integers(0, 3, (4, 4)).astype(np.float32))
    one_tile = full_order(CosineTable(vectors, tie).rank(queries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosine_table, "TILE", tile)
        table = CosineTable(vectors, tie)
        assert sum(scores.shape[1] for _, scores in table.tiles(queries)) == n
        assert torch.equal(full_order(table.rank(queries)), one_tile)
        first = torch.from_numpy(generator.integers(0, n, 4))
        assert full_order(table.rank(queries, first))[:, 0].tolist() == first.tolist()


def test_distinct_rows() -> None:
    rows = np.array([[1, 2], [0, 0], [1, 2], [3, 4], [-0.0, 0.0]], np.float32)
    distinct, number = distinct_rows(rows)
    assert distinct.tolist() == [[1, 2], [0, 0], [3, 4]] and number.tolist() == [0, 1, 0, 2, 1]
    assert distinct_rows(np.empty((0, 3)))[0].shape == (0, 3)


def test_distinct_rows_with_equal_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ones:
        def integers(self, *_: object) -> np.ndarray:
            return np.ones(2, np.uint64)

    monkeypatch.setattr(np.random, "default_rng", lambda _: Ones())
    distinct, number = distinct_rows(np.array([[1, 2], [2, 1], [1, 2]], np.float32))
    assert distinct.tolist() == [[1, 2], [2, 1]] and number.tolist() == [0, 1, 0]
