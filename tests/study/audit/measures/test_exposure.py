"""Exposure of a canary: by hand, and for any scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.study.audit.measures.exposure import Chance, exposure


@pytest.mark.parametrize(("rank", "bits"), [(1, 3.0), (2, 2.0), (4, 1.0), (8, 0.0)])
def test_the_place_among_eight(rank, bits):
    others = [1.0] * (rank - 1) + [-1.0] * (8 - rank)
    assert exposure(0.0, others) == bits


def test_equal_scores_share_their_places():
    assert exposure(0.0, [0.0, 0.0, 0.0]) == pytest.approx(2 - (0 + 1 + np.log2(3) + 2) / 4)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=12))
def test_the_mean_over_all_is_chance(scores):
    """Whatever the scores are, each of N is drawn with 1 / N: the mean of their exposures is that of a random place."""
    bits = [exposure(score, scores[:i] + scores[i + 1 :]) for i, score in enumerate(scores)]
    assert np.mean(bits) == pytest.approx(Chance(len(scores)).mean)


def test_chance():
    assert Chance(2).most == 1.0 and Chance(2).mean == 0.5
    assert Chance(4).mean == pytest.approx((2 + 1 + (2 - np.log2(3)) + 0) / 4)
    assert Chance(129).mean == pytest.approx(1.44, abs=0.05)
    assert Chance(2).beyond(1) == pytest.approx(1.5)
