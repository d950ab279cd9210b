"""The table of significance tests in a report."""

from collections.abc import Sequence

from recbole_llmfashion.evaluation.significance import RESAMPLES, Comparison
from recbole_llmfashion.study.report.document import METRIC_TITLES, Column, ReportTable, TableRow


def significance_table(comparisons: Sequence[Comparison]) -> ReportTable:
    """Comparisons of one subject as a table.

    Args:
        comparisons: may be on several metrics, each corrected separately.
    """
    subjects = list(dict.fromkeys(comparison.subject for comparison in comparisons))
    columns = [
        Column("metric", "metric", "text"),
        Column("difference", "difference"),
        Column("low", "95 % from"),
        Column("high", "to"),
        Column("p", "p", "p"),
        Column("p_holm", "p (Holm)", "p"),
        Column("users", "users", "count"),
    ]
    rows = [
        TableRow(
            comparison.other,
            {column.key: getattr(comparison, column.key) for column in columns}
            | {"metric": METRIC_TITLES.get(comparison.metric, comparison.metric)},
            ranked=False,
        )
        for comparison in comparisons
    ]
    seeds = max((comparison.seeds for comparison in comparisons), default=1)
    notes = [
        f"difference: {', '.join(subjects)} minus the model of the row, mean over users; interval: percentile "
        f"bootstrap over users, {RESAMPLES:,} resamples.",
        f"p: paired randomization test of the mean over users ({RESAMPLES:,} random patterns of signs, so no p is "
        "below 0.0002, or all for up to 13 users who differ); p (Holm): Holm's correction over the comparisons of one "
        "metric.",
    ]
    if seeds > 1:
        notes.append(
            f"Values of a user are first averaged over {seeds} seeds: the interval is over users, not over seeds."
        )
    return ReportTable("significance", f"{', '.join(subjects)} against the others", columns, rows, notes)
