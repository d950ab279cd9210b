import numpy as np
import pytest

from recbole_llmfashion.dataset_tools.simulate.draws import draw, draw_rows, gumbel_argmax


def test_draws() -> None:
    rng = np.random.default_rng(0)
    assert draw_rows(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.1]]), rng).tolist() == [1, -1, 2]
    counts = np.bincount(draw_rows(np.tile([1.0, 0.0, 3.0], (4000, 1)), rng), minlength=3)
    assert counts[1] == 0
    assert counts[2] / 4000 == pytest.approx(0.75, abs=0.03)
    assert np.bincount(draw(np.array([1.0, 0.0, 3.0]), 4000, rng), minlength=3)[2] / 4000 == pytest.approx(
        0.75, abs=0.03
    )
    assert gumbel_argmax(np.array([[-np.inf, -9.0], [-np.inf, -np.inf]]), 1.0, rng).tolist() == [1, -1]
