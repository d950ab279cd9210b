"""The figures of the analysis: new items by month, sequence lengths, heat maps of C3."""

import re
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from recbole_llmfashion.prompt.dates import MONTHS
from recbole_llmfashion.study.analysis.counts import BIN_LABELS
from recbole_llmfashion.study.analysis.measure import Measured
from recbole_llmfashion.study.analysis.seasonality import HOLIDAYS, Pulls, Seasonality
from recbole_llmfashion.study.report.document import Figure, Series

HEAT_ROWS = 11  # maximum number of values, in addition to the row of all purchases


def figures(measured: Sequence[Measured]) -> list[Figure]:
    """All figures; folders to which a characteristic does not apply are left out of its figure."""
    candidates = [_new_items(measured), _lengths(measured)]
    for folder in measured:
        pulls = folder.pulls
        if not isinstance(pulls, str) and any(isinstance(pull, Seasonality) for pull in pulls.columns.values()):
            candidates += _heats(folder.name, pulls)
    return [figure for figure in candidates if figure.series]


def _new_items(measured: Sequence[Measured]) -> Figure:
    series = []
    for one in measured:
        if not isinstance(one.turnover, str):
            shares = [100 * new / one.turnover.catalogue for new in one.turnover.new]
            label = f"{one.name}, from {one.turnover.months[0]}"
            series.append(Series(label, list(range(1, len(shares) + 1)), shares))
    caption = "C1: new items per month in per cent of the catalogue"
    return Figure(
        "c1_new_items", caption, "lines", "months since the first one", "new items, % of the catalogue", series
    )


def _lengths(measured: Sequence[Measured]) -> Figure:
    series = [Series(one.name, list(BIN_LABELS), [100 * share for share in one.lengths.shares]) for one in measured]
    caption = "C2: users by the number of their interactions"
    return Figure("c2_lengths", caption, "bars", "interactions per user", "% of the users", series)


def _heats(name: str, pulls: Pulls) -> list[Figure]:
    unit, left_out = "% of the purchases of a value", _left_out(pulls)
    return [
        Figure(
            f"c3_months_{_file_word(name)}",
            f"C3, {name}: the purchases of each value (their number) by month{left_out}",
            "heat",
            "month",
            unit,
            _rows(pulls, pulls.by_month, "by_month", MONTHS),
        ),
        Figure(
            f"c3_holidays_{_file_word(name)}",
            f"C3, {name}: the purchases of each value (their number) at most 14 days before a holiday{left_out}",
            "heat",
            "holiday",
            unit,
            _rows(pulls, pulls.by_holiday, "by_holiday", HOLIDAYS),
        ),
    ]


def _file_word(name: str) -> str:
    """The name with characters replaced that a file name of a figure cannot have; distinct names stay distinct."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    return plain if plain == name else f"{plain}-{sha256(name.encode()).hexdigest()[:8]}"


def _top_values(pulls: Pulls) -> list[tuple[str, Seasonality, int]]:
    """(column, pull, row) of the most purchased values, grouped by column."""
    candidates = [
        (column, pull, row)
        for column, pull in pulls.columns.items()
        if isinstance(pull, Seasonality)
        for row in range(len(pull.values))
    ]
    purchases = [-int(pull.by_month[row].sum()) for _, pull, row in candidates]
    return [candidates[position] for position in sorted(np.argsort(purchases, kind="stable")[:HEAT_ROWS])]


def _left_out(pulls: Pulls) -> str:
    count = sum(len(pull.values) for pull in pulls.columns.values() if isinstance(pull, Seasonality)) - len(
        _top_values(pulls)
    )
    return f"; the {count} least purchased values are left out" if count else ""


def _rows(pulls: Pulls, totals: np.ndarray, table: str, columns: Sequence[str]) -> list[Series]:
    """One row for all purchases, then one per value; times without any purchase are gaps."""
    top = _top_values(pulls)
    names = [pull.values[row] for _, pull, row in top]
    rows = [("all purchases", totals)]
    for (column, pull, row), name in zip(top, names, strict=True):
        rows.append((name if names.count(name) == 1 else f"{name} ({column})", getattr(pull, table)[row]))
    return [
        Series(f"{label} ({counts.sum():,})", list(columns), _per_cent(counts, totals)[: len(columns)])
        for label, counts in rows
    ]


def _per_cent(counts: np.ndarray, totals: np.ndarray) -> list[float | None]:
    sum_of_row = counts.sum()
    return [100 * float(count / sum_of_row) if total else None for count, total in zip(counts, totals, strict=True)]
