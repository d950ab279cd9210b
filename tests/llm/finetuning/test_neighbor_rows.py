"""Initial item embeddings from neighbors, by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.neighbor_rows import neighbor_weights, sequences, with_neighbors

FIRST = 10  # ids from 10 are items


def test_sequences_are_the_targets_and_the_response():
    """Items 2 and 4 of the prompt are targets; item 9 is shown by the memory alone."""
    prompt, response = np.array([3, 12, 5, 14, 19]), np.array([4, 11, 1])
    assert sequences([Example(prompt, response, np.array([1, 3]))], FIRST)[0].tolist() == [2, 4, 1]
    assert sequences([Example(prompt, response)], FIRST)[0].tolist() == [2, 4, 9, 1]
    assert sequences([Example(np.array([3]), np.array([1]))], FIRST)[0].tolist() == []


def test_weights_by_hand():
    """0 1 2 3 4: neighbors count 1, those two places apart 1/2, three 1/3, four nothing."""
    weights = neighbor_weights([np.arange(5)], 6).toarray()
    near = {1: 1.0, 2: 1 / 2, 3: 1 / 3}
    counts = np.array([[near.get(abs(i - j), 0.0) for j in range(5)] for i in range(5)])
    totals = counts.sum(axis=1)
    assert totals[0] == pytest.approx(11 / 6)
    expected = np.log1p(counts * totals.sum() / np.outer(totals, totals))
    np.testing.assert_allclose(weights[:5, :5], expected)
    assert not weights[5].any() and not weights[:, 5].any()
    assert weights[0, 1] == pytest.approx(math.log(1 + totals.sum() / (totals[0] * totals[1])))


def test_a_repeated_item_is_no_neighbor_of_itself():
    assert neighbor_weights([np.array([0, 0, 0])], 2).nnz == 0


def test_rows_by_hand():
    """Item 0 is (2, 0), its neighbor (0, 2): the direction is (1, 0.5), the norm stays 2. Item 2 has no neighbor."""
    rows = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    made = with_neighbors(rows, neighbor_weights([np.array([0, 1])], 3))
    length = math.hypot(1, 0.5)
    torch.testing.assert_close(made[0], torch.tensor([2.0, 1.0]) / length)
    torch.testing.assert_close(made[2], rows[2])


@given(st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=5))
def test_rows_keep_their_norm_and_weights_are_symmetric(rows):
    weights = neighbor_weights([np.asarray(row, np.int64) for row in rows], 6)
    dense = weights.toarray()
    np.testing.assert_allclose(dense, dense.T)
    assert (dense >= 0).all() and not dense.diagonal().any()
    table = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(with_neighbors(table, weights).norm(dim=1), table.norm(dim=1))
