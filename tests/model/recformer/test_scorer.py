"""Vectors, cosines and the item matrix of a catalogue."""

import numpy as np
import pytest
import torch

from recbole_llmfashion.model.recformer.scorer import Scorer, _batch_size
from tests.helpers.recformer import numbered_items, shape, tiny_scorer

ROWS = numbered_items(6, words=20)
HISTORIES = [np.array(h, np.int64) for h in ([0, 1, 2, 3], [4], [], [5, 5])]


def test_vectors_do_not_depend_on_padding():
    scorer = tiny_scorer(ROWS, layers=2)
    together = scorer.vectors(HISTORIES)
    for row, history in enumerate(HISTORIES):
        torch.testing.assert_close(scorer.vectors([history])[0], together[row], atol=1e-6, rtol=0)
    torch.testing.assert_close(scorer.encode(HISTORIES), together, atol=1e-6, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))


def test_vectors_depend_on_the_order():
    vectors = tiny_scorer(ROWS).vectors([np.array([0, 1]), np.array([1, 0])])
    assert not torch.allclose(*vectors)


def test_refresh():
    rows = ROWS + ROWS
    scorer = tiny_scorer(rows, n_items=12)
    scorer.encoder.train()  # dropout must not reach the matrix
    scorer.refresh()
    assert scorer.items.shape == (12, 16) and torch.equal(scorer.items[:6], scorer.items[6:])
    assert scorer.encoder.training and not scorer.items.requires_grad
    scorer.encoder.eval()
    torch.testing.assert_close(scorer.items[4], scorer.vectors([np.array([4])])[0], atol=1e-6, rtol=0)
    assert scorer.cosines(HISTORIES).shape == (4, 12) and scorer.cosines(HISTORIES).abs().max() <= 1 + 1e-5


def test_batch_size():
    lengths = np.array([3, 5, 9, 9])
    assert [_batch_size(lengths, 4, budget) for budget in (1, 24, 100)] == [1, 2, 4]
    assert _batch_size(lengths[:2], 4, 24) == 2


def test_state_and_restore(tmp_path):
    scorer = tiny_scorer(ROWS)
    scorer.refresh()
    state, before = scorer.state(), scorer.cosines(HISTORIES)
    with torch.no_grad():
        scorer.encoder.item_embedding.weight.mul_(-3)
    scorer.refresh()
    assert not torch.allclose(scorer.cosines(HISTORIES), before)
    scorer.restore(state)
    assert torch.equal(scorer.cosines(HISTORIES), before)
    scorer.save_items(tmp_path)
    scorer.load_items(tmp_path)
    assert torch.equal(scorer.cosines(HISTORIES), before)
    with pytest.raises(ValueError, match="6 item vectors for 5"):
        Scorer(scorer.encoder, ROWS, 5, shape(), 256).load_items(tmp_path)
