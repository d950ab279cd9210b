"""Significance tests between models: is a difference larger than the sampling of test users explains?

The functions take ranks (results/.../ranks.parquet). With several seeds, values are first averaged per user, so the
tests say nothing about the variance between seeds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from recbole_llmfashion.errors import UserError

ROW = ["seed", "user", "target"]
LEVEL = 0.95
RESAMPLES = 9999
_BLOCK = 2**22  # resampled values in memory at a time
_METRIC = re.compile(r"(recall|ndcg|mrr)@([1-9][0-9]*)")


@dataclass(frozen=True)
class Comparison:
    """Comparison of two models by one metric on the same users.

    Args:
        subject: the model under test.
        other: the model it is compared with.
        metric: name of the metric.
        difference: mean of subject - other over the users.
        low: lower bound of the 95 % bootstrap interval of the difference.
        high: upper bound of that interval.
        p: two-sided p-value of the paired randomization test.
        p_holm: `p` after Holm's correction over all comparisons of one call.
        users: number of users.
        seeds: number of seeds.
    """

    subject: str
    other: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    users: int
    seeds: int


def metric_values(ranks: np.ndarray, metric: str) -> np.ndarray:
    """A metric of each row, with the target as the only relevant item (docs/method.md, metrics).

    recall@k = [rank <= k]; ndcg@k = [rank <= k] / log2(rank + 1); mrr@k = [rank <= k] / rank; mrr = 1 / rank

    Args:
        ranks: [n] ranks over the full catalogue, from 1.
        metric: recall@k, ndcg@k, mrr@k or mrr.

    Returns:
        [n] float64.

    Raises:
        UserError: unknown metric, or a rank below 1.

    Example:
        >>> metric_values(np.array([1, 2, 5]), "mrr@3").tolist()
        [1.0, 0.5, 0.0]
    """
    match = _METRIC.fullmatch(metric)
    if match is None and metric != "mrr":
        raise UserError(f"metric: expected recall@k, ndcg@k, mrr@k or mrr, found '{metric}'")
    rank = np.asarray(ranks, np.float64)
    if not (rank >= 1).all():
        raise UserError("ranks: a rank is below 1 or missing; ranks count from 1 over the full catalogue")
    if match is None:
        return 1.0 / rank
    gain = {"recall": np.ones_like(rank), "ndcg": 1.0 / np.log2(rank + 1.0), "mrr": 1.0 / rank}[match[1]]
    return np.where(rank <= int(match[2]), gain, 0.0)


def bootstrap_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean over users (Efron and Tibshirani 1993, chapter 13).

    Resampling the differences is the paired bootstrap. The percentile method is used instead of BCa, because BCa's
    jackknife is quadratic in the number of users and undefined if all differences are equal; the skew that it corrects
    vanishes with the square root of the number of users, as the values are bounded.

    Args:
        differences: [n] one per user, n > 1.
        seed: random seed of the resampling.

    Returns:
        lower and upper bound.
    """
    result = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, _BLOCK // len(differences)),
        vectorized=True,
        confidence_level=LEVEL,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def randomization_p(differences: np.ndarray, seed: int = 0) -> float:
    r"""Two-sided p-value of the paired randomization test that the mean difference is 0.

    Under the null hypothesis the two models are exchangeable for every user, so each $d_u$ is as likely as $-d_u$. The
    p-value is the share of sign patterns whose sum is as far from 0 as $\sum_u d_u$, times 2 for the smaller side. All
    patterns are counted for up to 13 users who differ, else 9,999 random ones. It tests the mean, as the interval
    shows it; the Wilcoxon test would not, as it takes ranks of differences (Smucker, Allan and Carterette, CIKM 2007).

    Args:
        differences: [n] one per user; zeros have no effect.
        seed: random seed of the patterns.

    Returns:
        the p-value; 1 if fewer than two users differ.
    """
    different = differences[differences != 0]
    if len(different) < 2:
        return 1.0
    different = different if different.sum() > 0 else -different  # the same p for either order of the models
    if 2 ** len(different) <= RESAMPLES:
        return float(stats.permutation_test((different,), np.sum, permutation_type="samples", vectorized=True).pvalue)
    # users with equal differences as one number: the sum of n random signs is 2 Binomial(n, 1/2) - n
    sizes, group, users = np.unique(np.abs(different), return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)

    def random_sums(size: tuple[int, ...]) -> np.ndarray:
        return sizes * (2.0 * rng.binomial(users, 0.5, size) - users)

    sums = np.bincount(group, different)
    batch = max(1, _BLOCK // len(sizes))
    test = stats.monte_carlo_test(sums, random_sums, np.sum, vectorized=True, n_resamples=RESAMPLES, batch=batch)
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979).

    The i-th smallest of m p-values is multiplied by m - i + 1; results are made non-decreasing and capped at 1.

    Returns:
        corrected values, in the order of the input.

    Example:
        >>> holm([0.01, 0.04])
        [0.02, 0.04]
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - step)))
        corrected[index] = largest
    return corrected


def compare_rows(
    ranks: pd.DataFrame, subject: str, others: Sequence[str], metric: str, seed: int = 0
) -> list[Comparison]:
    """Compares a model with others on their common rows, with Holm's correction over these comparisons.

    Args:
        ranks: columns model, seed, user, target, rank.
        subject: the model under test.
        others: models to compare with, without the subject.
        metric: recall@k, ndcg@k, mrr@k or mrr.
        seed: random seed of the bootstrap and of the test.

    Returns:
        one comparison per model of `others`, in that order.

    Raises:
        UserError: a model has no ranks, a row is ranked twice, the models have different rows, or there are fewer than
            two users.
    """
    own = _rows_of(ranks, subject)
    comparisons = []
    for other in others:
        theirs = _rows_of(ranks, other)
        _check_same_rows(own, theirs, subject, other)
        # rounded, because sums in another order differ by 1e-17, which the test would take for a difference
        differences = (_by_user(own, metric) - _by_user(theirs, metric)).round(12).to_numpy()
        if len(differences) < 2:
            raise UserError(f"significance: {subject} and {other} share {len(differences)} test users; 2 are needed")
        low, high = bootstrap_interval(differences, seed)
        p, seeds = randomization_p(differences, seed), own.index.get_level_values("seed").nunique()
        mean = float(differences.mean())
        comparisons.append(Comparison(subject, other, metric, mean, low, high, p, p, len(differences), seeds))
    corrected = holm([comparison.p for comparison in comparisons])
    return [replace(comparison, p_holm=p) for comparison, p in zip(comparisons, corrected, strict=True)]


def _rows_of(ranks: pd.DataFrame, model: str) -> pd.Series:
    """Ranks of a model by (seed, user, target), sorted."""
    rows = ranks[ranks["model"] == model].set_index(ROW)["rank"].sort_index()
    if rows.empty:
        models = ", ".join(sorted(map(str, ranks["model"].unique()))) or "none"
        raise UserError(f"ranks: no row of model '{model}'; models with rows: {models}")
    if rows.index.has_duplicates:
        seed, user, target = rows.index[rows.index.duplicated()][0]
        raise UserError(f"ranks: {model} has two ranks of seed {seed}, user {user}, target {target}; keep one")
    return rows


def _check_same_rows(own: pd.Series, theirs: pd.Series, subject: str, other: str) -> None:
    if own.index.equals(theirs.index):
        return
    unmatched = []
    for name, here, there in ((subject, own, theirs), (other, theirs, own)):
        extra = here.index.difference(there.index)
        if len(extra):
            seed, user, target = extra[0]
            users = extra.get_level_values("user").nunique()
            unmatched.append(
                f"{len(extra)} rows of {users} users in {name} only (first: seed {seed}, user {user}, target {target})"
            )
    raise UserError(f"ranks: {subject} and {other} have different test rows: {'; '.join(unmatched)}; rerun both")


def _by_user(rows: pd.Series, metric: str) -> pd.Series:
    return (
        pd.Series(metric_values(rows.to_numpy(), metric), index=rows.index.get_level_values("user"))
        .groupby(level=0, sort=True)
        .mean()
    )
