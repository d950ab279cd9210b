"""Whether one model's ranks are better than another's by more than the choice of test users explains.

Plain functions on ranks (results/.../ranks.parquet). Knows no model and trains nothing; several seeds are averaged
within a user first, so nothing here speaks of how much a metric moves from seed to seed.
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
_BLOCK = 2**22  # resampled numbers held at once
_METRIC = re.compile(r"(recall|ndcg|mrr)@([1-9][0-9]*)")


@dataclass(frozen=True)
class Comparison:
    """One metric of two models on the same users.

    Args:
        difference: mean over users of subject - other; low, high: its 95 % bootstrap interval.
        p: of the Wilcoxon signed-rank test, two-sided; p_holm: corrected over the comparisons made together.
        users, seeds: how many.
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
    """A metric of each row, the target being the only relevant item (docs/method.md, metrics).

    recall@k = [rank <= k]; ndcg@k = [rank <= k] / log2(rank + 1); mrr@k = [rank <= k] / rank; mrr = 1 / rank

    Args:
        ranks: [n] from 1, over the full catalogue.

    Returns:
        [n] float64.

    Raises:
        UserError: another metric, or a rank below 1.
    """
    found = _METRIC.fullmatch(metric)
    if found is None and metric != "mrr":
        raise UserError(f"metric: '{metric}' is not one of recall@k, ndcg@k, mrr@k, mrr")
    rank = np.asarray(ranks, np.float64)
    if not (rank >= 1).all():
        raise UserError("ranks: a rank is below 1 or missing; ranks count from 1 over the full catalogue")
    if found is None:
        return 1.0 / rank
    gain = {"recall": np.ones_like(rank), "ndcg": 1.0 / np.log2(rank + 1.0), "mrr": 1.0 / rank}[found[1]]
    return np.where(rank <= int(found[2]), gain, 0.0)


def bootstrap_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a mean by resampling users (Efron and Tibshirani 1993, chapter 13).

    Resampling the differences is the paired bootstrap. Percentile and not BCa: BCa's jackknife costs the square of the
    number of users and is undefined where all differences are equal, and what it corrects, the skew of the mean of
    bounded numbers, vanishes with the root of their number.

    Args:
        differences: [n] one a user, n > 1.
        seed: the same one gives the same interval.
    """
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, _BLOCK // len(differences)),
        vectorized=True,
        confidence_level=LEVEL,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test, zeros by Pratt's rule: ranked with the others, then left out.

    Most users have equal values under both models, and Pratt's variance is the one that holds given those zeros. On
    recall, whose differences are -1, 0 and 1, this is the sign test over the users on whom the models disagree.

    Args:
        differences: [n] one a user; all zero gives 1.
    """
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences, zero_method="pratt").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the i-th smallest of m is multiplied by m - i + 1, never falling, up to 1.

    Returns:
        corrected values in the order given.
    """
    corrected = [0.0] * len(p_values)
    least = 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        least = max(least, min(1.0, p_values[index] * (len(p_values) - step)))
        corrected[index] = least
    return corrected


def compare_rows(
    ranks: pd.DataFrame, subject: str, others: Sequence[str], metric: str, seed: int = 0
) -> list[Comparison]:
    """A model against others, on the rows that all of them ranked; Holm's correction over these comparisons.

    Args:
        ranks: columns model, seed, user, target, rank.
        others: models, the subject not among them.
        metric: recall@k, ndcg@k, mrr@k or mrr.
        seed: of the bootstrap.

    Returns:
        one a model of `others`, in that order.

    Raises:
        UserError: a model without ranks, a row ranked twice, models with different rows, fewer than two users.
    """
    own = _rows_of(ranks, subject)
    found = []
    for other in others:
        theirs = _rows_of(ranks, other)
        _refuse_different(own, theirs, subject, other)
        # rounded, so that values added in another order do not differ: a sign test would count 1e-17
        differences = (_by_user(own, metric) - _by_user(theirs, metric)).round(12).to_numpy()
        if len(differences) < 2:
            raise UserError(f"significance: {subject} and {other} share {len(differences)} test users; 2 are needed")
        low, high = bootstrap_interval(differences, seed)
        p, seeds = wilcoxon_p(differences), own.index.get_level_values("seed").nunique()
        mean = float(differences.mean())
        found.append(Comparison(subject, other, metric, mean, low, high, p, p, len(differences), seeds))
    corrected = holm([one.p for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]


def _rows_of(ranks: pd.DataFrame, model: str) -> pd.Series:
    """Ranks of a model by (seed, user, target), sorted."""
    rows = ranks[ranks["model"] == model].set_index(ROW)["rank"].sort_index()
    if rows.empty:
        held = ", ".join(sorted(map(str, ranks["model"].unique()))) or "none"
        raise UserError(f"ranks: no row of model '{model}'; there are: {held}")
    if rows.index.has_duplicates:
        seed, user, target = rows.index[rows.index.duplicated()][0]
        raise UserError(f"ranks: {model} has two ranks of seed {seed}, user {user}, target {target}; keep one")
    return rows


def _refuse_different(own: pd.Series, theirs: pd.Series, subject: str, other: str) -> None:
    if own.index.equals(theirs.index):
        return
    alone = []
    for name, here, there in ((subject, own, theirs), (other, theirs, own)):
        extra = here.index.difference(there.index)
        if len(extra):
            seed, user, target = extra[0]
            users = extra.get_level_values("user").nunique()
            alone.append(
                f"{len(extra)} rows of {users} users in {name} alone (first: seed {seed}, user {user}, target {target})"
            )
    raise UserError(f"ranks: {subject} and {other} were not ranked on the same rows: {'; '.join(alone)}; rerun both")


def _by_user(rows: pd.Series, metric: str) -> pd.Series:
    return (
        pd.Series(metric_values(rows.to_numpy(), metric), index=rows.index.get_level_values("user"))
        .groupby(level=0, sort=True)
        .mean()
    )
