import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.embedding.flat_index import FlatIndex


def test_search_with_ties() -> None:
    index = FlatIndex(np.array([[0.0, 1.0], [1.0, 0.0], [0.6, 0.8], [1.0, 0.0]], np.float32))
    scores, ids = index.search(np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), 3)
    assert ids.tolist() == [[1, 3, 2], [0, 2, 1]]
    assert scores == pytest.approx(np.array([[1.0, 1.0, 0.6], [1.0, 0.8, 0.0]]))
    assert (scores.dtype, ids.dtype) == (np.float32, np.int64)


def test_k_above_the_number_of_vectors() -> None:
    scores, ids = FlatIndex(np.eye(3, dtype=np.float32)).search(np.eye(3, dtype=np.float32)[:1], 9)
    assert scores.shape == (1, 3)
    assert ids.tolist() == [[0, 1, 2]]


def test_empty_index_and_empty_queries() -> None:
    scores, ids = FlatIndex(np.empty((0, 4), np.float32)).search(np.ones((2, 4), np.float32), 3)
    assert scores.shape == ids.shape == (2, 0)
    scores, ids = FlatIndex(np.eye(4, dtype=np.float32)).search(np.empty((0, 4), np.float32), 3)
    assert scores.shape == ids.shape == (0, 3)
    assert FlatIndex(np.eye(4, dtype=np.float32)).search(np.eye(4, dtype=np.float32), 0)[1].shape == (4, 0)


def test_a_tie_across_the_end_keeps_the_lowest_ids() -> None:
    # 300 equal rows, far more than any slack: the ten lowest ids must win, for one query and for many
    vectors = np.repeat(np.array([[0.6, 0.8]], np.float32), 300, axis=0)
    for b in (1, 50):
        assert FlatIndex(vectors).search(vectors[:b], 10)[1].tolist() == [list(range(10))] * b


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 8), st.integers(1, 20))
def test_equals_a_full_sort(seed: int, n: int, distinct: int, k: int) -> None:
    generator = np.random.default_rng(seed)
    # entries of one bit: sums are exact, so ties are ties in every arithmetic
    vectors = generator.integers(0, 2, size=(distinct, 6)).astype(np.float32)[generator.integers(distinct, size=n)]
    queries = generator.integers(0, 2, size=(5, 6)).astype(np.float32)
    scores, ids = FlatIndex(vectors).search(queries, k)
    full = queries @ vectors.T
    expected = np.argsort(-full, axis=1, kind="stable")[:, :k]
    assert np.array_equal(ids, expected)
    assert np.array_equal(scores, np.take_along_axis(full, expected, axis=1))


def test_the_answer_does_not_depend_on_the_batch() -> None:
    generator = np.random.default_rng(0)
    vectors = np.repeat(generator.normal(size=(500, 96)).astype(np.float32), 3, axis=0)
    queries = generator.normal(size=(64, 96)).astype(np.float32)
    index = FlatIndex(vectors)
    scores, ids = index.search(queries, 20)
    for row in range(0, 64, 9):
        alone = index.search(queries[row : row + 1], 20)
        assert np.array_equal(alone[1][0], ids[row])
        assert np.array_equal(alone[0][0], scores[row])
