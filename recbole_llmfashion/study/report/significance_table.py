"""The table of significance tests in a report."""

from collections.abc import Sequence

from recbole_llmfashion.evaluation.significance import RESAMPLES, Comparison
from recbole_llmfashion.study.report.document import METRIC_TITLES, Column, ReportTable, TableRow


def significance_table(comparisons: Sequence[Comparison], name: str = "significance") -> ReportTable:
    """Comparisons of one subject as a table; metrics may be mixed, each corrected on its own."""
    subjects = list(dict.fromkeys(one.subject for one in comparisons))
    columns = [
        Column("metric", "metric", "text"),
        Column("difference", "difference"),
        Column("low", "95 % from"),
        Column("high", "to"),
        Column("p", "p", "number"),
        Column("p_holm", "p (Holm)", "number"),
        Column("users", "users", "count"),
    ]
    rows = [
        TableRow(
            one.other,
            {column.key: getattr(one, column.key) for column in columns}
            | {"metric": METRIC_TITLES.get(one.metric, one.metric)},
            ranked=False,
        )
        for one in comparisons
    ]
    seeds = max((one.seeds for one in comparisons), default=1)
    notes = [
        f"difference: {', '.join(subjects)} minus the model of the line, mean over users; interval: percentile "
        f"bootstrap over users, {RESAMPLES:,} resamples.",
        "p: Wilcoxon signed-rank test on the users' differences, zeros by Pratt's rule; Holm's correction over the "
        "comparisons of one metric.",
    ]
    if seeds > 1:
        notes.append(
            f"A user's values are averaged over {seeds} seeds first: the interval is over users, not over seeds."
        )
    return ReportTable(name, f"{', '.join(subjects)} against the others", columns, rows, notes)
