"""Metrics of ranks and significance tests, against values computed by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.significance import (
    bootstrap_interval,
    compare_rows,
    holm,
    metric_values,
    randomization_p,
)


def ranks(seed=1, **models):
    """One row per user u0, u1, ..; the target is the number of the user."""
    return pd.DataFrame(
        [
            {"model": model, "seed": seed, "user": f"u{i}", "target": str(i), "rank": rank}
            for model, row in models.items()
            for i, rank in enumerate(row)
        ]
    )


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("recall@10", [1, 1, 1, 1, 0]),
        ("ndcg@10", [1, 1 / math.log2(3), 0.5, 1 / math.log2(11), 0]),
        ("mrr@10", [1, 0.5, 1 / 3, 0.1, 0]),
        ("mrr@2", [1, 0.5, 0, 0, 0]),
        ("mrr", [1, 0.5, 1 / 3, 0.1, 1 / 11]),
    ],
)
def test_metrics_of_ranks(metric, values):
    assert metric_values(np.array([1, 2, 3, 10, 11]), metric) == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize("metric", ["hit@10", "recall", "recall@0", "recall@-1", "mrr@", ""])
def test_unknown_metrics(metric):
    with pytest.raises(UserError, match="expected recall@k, ndcg@k, mrr@k or mrr, found"):
        metric_values(np.array([1]), metric)


@pytest.mark.parametrize("rank", [0, -1, float("nan")])
def test_ranks_below_one(rank):
    with pytest.raises(UserError, match="below 1 or missing"):
        metric_values(np.array([1, rank]), "mrr")


def test_holm_by_hand():
    # sorted: .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 = .04, lifted to .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3, 4, 5], 2 / 32),  # the largest and the smallest of 32 sums
        ([1, 2, 3, -4], 14 / 16),  # 7 of the 16 sums of +-1 +-2 +-3 +-4 are 2 or more
        ([1, 1, 1, 1], 2 / 16),
        ([1, 1], 2 / 4),
        ([0.5], 1),  # of one user who differs, both signs are as likely
        ([], 1),
        ([0.1] * 6 + [-0.6], 1),  # more users gain, but the mean is 0
    ],
)
def test_randomization_by_hand(differences, p):
    assert randomization_p(np.array([*differences, 0.0])) == pytest.approx(p)
    assert randomization_p(np.array([*differences, *[0.0] * 300])) == pytest.approx(p)
    assert randomization_p(-np.array([*differences, 0.0])) == pytest.approx(p)


def test_randomization_by_random_signs():
    """More users than patterns can be counted for: 9 of 14 coins, 20 of 20, and differences of many sizes."""
    coins = np.array([1.0] * 9 + [-1.0] * 5)
    tail = sum(math.comb(14, k) for k in range(9, 15)) / 2**14
    assert randomization_p(coins) == pytest.approx(2 * tail, abs=0.02)
    assert randomization_p(coins) == randomization_p(np.r_[coins, np.zeros(100)])
    assert randomization_p(np.ones(20)) == pytest.approx(2 / 10_000)
    sizes = np.random.default_rng(3).normal(0.1, 1, 400).round(12)
    assert randomization_p(sizes) == pytest.approx(stats.ttest_1samp(sizes, 0).pvalue, abs=0.015)


def test_no_difference_at_all():
    assert randomization_p(np.zeros(20)) == 1.0
    assert bootstrap_interval(np.zeros(20)) == (0.0, 0.0)


def test_interval_of_a_coin():
    """The mean of a hundred fair coins: 0.5 -+ 1.96 x 0.05."""
    low, high = bootstrap_interval(np.repeat([0.0, 1.0], 50), seed=3)
    assert (low, high) == (pytest.approx(0.40, abs=0.011), pytest.approx(0.60, abs=0.011))
    assert bootstrap_interval(np.repeat([0.0, 1.0], 50), seed=3) == (low, high)


def test_compare_by_hand():
    frame = ranks(A=[1, 2, 11, 1], B=[2, 2, 11, 11], C=[1, 2, 11, 1])
    against_c, against_b = compare_rows(frame, "A", ["C", "B"], "mrr@10")
    # mrr@10: A 1, .5, 0, 1; B .5, .5, 0, 0
    assert (against_b.subject, against_b.other, against_b.metric) == ("A", "B", "mrr@10")
    assert against_b.difference == pytest.approx(1.5 / 4)
    assert 0 <= against_b.low < 1.5 / 4 < against_b.high <= 1
    assert against_b.p == pytest.approx(0.5)  # both of the two differing users agree in sign: 2 of 4 patterns
    assert (against_c.difference, against_c.low, against_c.high, against_c.p) == (0, 0, 0, 1)
    assert (against_b.p_holm, against_c.p_holm) == (pytest.approx(1.0), 1.0)
    assert against_b.users == 4


def test_order_of_rows_does_not_matter():
    frame = ranks(A=[1, 2, 11, 1, 7, 30], B=[2, 2, 11, 11, 3, 1])
    assert compare_rows(frame.sample(frac=1, random_state=1), "A", ["B"], "mrr") == compare_rows(
        frame, "A", ["B"], "mrr"
    )


def test_seeds_are_averaged_per_user():
    one = ranks(seed=1, A=[1, 2, 11, 1, 40], B=[2, 2, 11, 11, 4])
    thrice = pd.concat([one, one.assign(seed=2), one.assign(seed=3)])
    (single,), (again,) = (compare_rows(frame, "A", ["B"], "ndcg@10") for frame in (one, thrice))
    assert (again.users, again.seeds) == (5, 3)
    assert (again.low, again.high, again.p) == pytest.approx((single.low, single.high, single.p))


def test_rounding_errors_are_no_difference():
    """The means of 1, 1/2, 1/6 and of 1, 1/6, 1/2 differ in the last bit only."""
    frame = pd.concat([ranks(seed=s, A=[a, 1], B=[b, 1]) for s, (a, b) in enumerate([(1, 1), (2, 6), (6, 2)])])
    (found,) = compare_rows(frame, "A", ["B"], "mrr")
    assert (found.difference, found.p) == (0, 1)


def test_better_and_shuffled_model():
    rng = np.random.default_rng(5)
    worse = rng.integers(1, 60, 400)
    frame = ranks(A=np.maximum(1, worse // 2), B=worse, C=rng.permutation(worse))
    better = compare_rows(frame, "A", ["B"], "ndcg@10")[0]
    same = compare_rows(frame, "B", ["C"], "ndcg@10")[0]
    assert better.low > 0 and better.p_holm == pytest.approx(2e-4)
    assert same.low < 0 < same.high and same.p > 0.05


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=2, max_size=30))
def test_exchanging_the_models_negates_the_difference(pairs):
    frame = ranks(A=[a for a, _ in pairs], B=[b for _, b in pairs])
    (there,), (back,) = compare_rows(frame, "A", ["B"], "mrr"), compare_rows(frame, "B", ["A"], "mrr")
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p == pytest.approx(back.p)
    assert there.low - 1e-12 <= there.difference <= there.high + 1e-12


def test_different_users():
    frame = pd.concat([ranks(A=[1, 2, 3, 4, 5]), ranks(B=[1, 2, 3])])
    with pytest.raises(UserError, match=r"2 rows of 2 users in A only \(first: seed 1, user u3, target 3\); rerun"):
        compare_rows(frame, "A", ["B"], "mrr")


def test_different_targets_of_the_same_users():
    frame = ranks(A=[1, 2], B=[1, 2])
    frame.loc[3, "target"] = "77"
    with pytest.raises(UserError, match=r"1 rows of 1 users in A only .*; 1 rows of 1 users in B only"):
        compare_rows(frame, "A", ["B"], "mrr")


def test_missing_seed():
    frame = pd.concat([ranks(seed=1, A=[1, 2], B=[1, 2]), ranks(seed=2, A=[1, 2])])
    with pytest.raises(UserError, match=r"2 rows of 2 users in A only .first: seed 2"):
        compare_rows(frame, "A", ["B"], "mrr")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (ranks(A=[1, 2]), "no row of model 'B'; models with rows: A"),
        (pd.concat([ranks(A=[1, 2], B=[3, 4]), ranks(B=[7])]), "B has two ranks of seed 1, user u0, target 0"),
        (ranks(A=[1], B=[2]), "share 1 test users"),
    ],
)
def test_other_errors(frame, message):
    with pytest.raises(UserError, match=message):
        compare_rows(frame, "A", ["B"], "mrr")
