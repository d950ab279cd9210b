"""The size of a claim, by hand."""

import pandas as pd
import pytest

from recbole_llmfashion.study.report.effects import contrast


def ranks(**of_row):
    """Ranks of the users 0, 1, .. by row; a row may have several seeds, as a list of lists."""
    lines = [
        {"model": name, "user": user, "target": user, "rank": rank, "seed": seed}
        for name, seeds in of_row.items()
        for seed, values in enumerate(seeds)
        for user, rank in enumerate(values)
    ]
    return pd.DataFrame(lines)


def test_a_difference():
    # MRR of a: 1, 1/2, 1/4; of b: 1/2, 1/2, 1/4: differences 1/2, 0, 0
    effect = contrast(ranks(a=[[1, 2, 4]], b=[[2, 2, 4]]), {"a": 1, "b": -1}, "mrr")
    assert effect.value == pytest.approx(1 / 6) and effect.users == 3
    assert effect.low == 0 and 0 < effect.high <= 0.5 and 0 < effect.p <= 1


def test_seeds_are_averaged_and_weights_count():
    frame = ranks(a=[[1, 1], [2, 2]], b=[[1, 1], [1, 1]], c=[[4, 4], [4, 4]])
    # a: (1 + 1/2) / 2 = 3/4 for both users; b: 1; c: 1/4; 2 a - b - c = 1/4, for each user the same
    effect = contrast(frame, {"a": 2, "b": -1, "c": -1}, "mrr")
    assert (effect.value, effect.low, effect.high, effect.users) == (0.25, 0.25, 0.25, 2)


def test_rows_of_other_users_or_seeds_have_no_effect():
    frame = ranks(a=[[1, 1, 1]], b=[[1, 2]], c=[[1, 1, 1], [1, 2, 3]])
    assert contrast(frame, {"a": 1, "b": -1}, "mrr") is None
    assert contrast(frame, {"a": 1, "c": -1}, "mrr") is None  # the second seed of a failed
    assert contrast(frame, {"a": 1, "d": -1}, "mrr") is None
    assert contrast(frame, {}, "mrr") is None
    assert contrast(ranks(a=[[1]], b=[[2]]), {"a": 1, "b": -1}, "mrr") is None
