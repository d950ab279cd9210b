"""The size of a difference: a weighted sum of rows, with an interval and a p-value over the test users."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from recbole_llmfashion.evaluation.significance import bootstrap_interval, metric_values, randomization_p
from recbole_llmfashion.study.report.document import Cell, Column

INTERVAL = (
    "Interval: percentile bootstrap over test users; where it holds 0, these users do not decide. p: paired "
    "randomization test of the mean. No correction for the number of comparisons."
)


@dataclass(frozen=True)
class Effect:
    """A sum over rows, mean over users.

    Args:
        value: the mean.
        low: lower bound of the 95 % bootstrap interval.
        high: upper bound of that interval.
        p: two-sided p-value of the paired randomization test that it is 0.
        users: number of users.
    """

    value: float
    low: float
    high: float
    p: float
    users: int


def contrast(ranks: pd.DataFrame, weights: Mapping[str, float], metric: str) -> Effect | None:
    r"""The effect $\sum_r w_r m_r(u)$, where $m_r(u)$ is the metric of user u in row r, averaged over seeds first.

    Args:
        ranks: columns model, seed, user, target and rank, as of `ranks.parquet`.
        weights: by label of a row; 1 and -1 for a difference.
        metric: recall@k, ndcg@k, mrr@k or mrr.

    Returns:
        None if a row has no ranks, the rows differ in seeds or users, or there are fewer than two users.
    """
    frame = ranks[ranks["model"].isin(list(weights))]
    if frame["model"].nunique() < len(weights) or not weights:
        return None
    values = pd.Series(metric_values(frame["rank"].to_numpy(), metric), index=frame.index)
    by_row = values.groupby([frame["model"], frame["seed"], frame["user"], frame["target"]]).mean().unstack("model")
    if by_row.isna().any(axis=None):
        return None
    table = by_row.groupby(level="user").mean()
    if len(table) < 2:
        return None
    # rounded, because sums in another order differ by 1e-17, which the test would take for a difference
    sums = (table[list(weights)] * list(weights.values())).sum(axis=1).round(12).to_numpy()
    low, high = bootstrap_interval(sums)
    return Effect(float(sums.mean()), low, high, randomization_p(sums), len(sums))


def effect_columns(title: str) -> list[Column]:
    """The columns of an effect.

    Args:
        title: of the first one, the effect itself.
    """
    return [
        Column("effect", title),
        Column("low", "95 % from"),
        Column("high", "to"),
        Column("p", "p", "p"),
        Column("users", "users", "count"),
    ]


def effect_cells(effect: Effect | None) -> dict[str, Cell]:
    """The cells of these columns; none without an effect."""
    if effect is None:
        return {}
    return {"effect": effect.value, "low": effect.low, "high": effect.high, "p": effect.p, "users": effect.users}
