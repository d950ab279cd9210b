"""The figures of the analysis: new items by month, sequence lengths, heat maps of C3. Draws nothing itself."""

import re
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from recbole_llmfashion.prompt.dates import MONTHS
from recbole_llmfashion.study.analysis.counts import BIN_LABELS
from recbole_llmfashion.study.analysis.measure import Measured
from recbole_llmfashion.study.analysis.seasonality import HOLIDAYS, Pulls, Seasonality
from recbole_llmfashion.study.report.document import Figure, Series

HEAT_ROWS = 11  # beside the row of all purchases


def figures(measured: Sequence[Measured]) -> list[Figure]:
    """All figures; a folder that a claim does not apply to has none of it."""
    found = [_new_items(measured), _lengths(measured)]
    for one in measured:
        if not isinstance(one.pulls, str) and any(isinstance(pull, Seasonality) for pull in one.pulls.columns.values()):
            found += _heats(one.name, one.pulls)
    return [figure for figure in found if figure.series]


def _new_items(measured: Sequence[Measured]) -> Figure:
    series = []
    for one in measured:
        if not isinstance(one.turnover, str):
            shares = [100 * new / one.turnover.catalogue for new in one.turnover.new]
            label = f"{one.name}, from {one.turnover.months[0]}"
            series.append(Series(label, list(range(1, len(shares) + 1)), shares))
    caption = "C1: new items of each month in per cent of the catalogue"
    return Figure(
        "c1_new_items", caption, "lines", "month, from the first one on", "new items, % of the catalogue", series
    )


def _lengths(measured: Sequence[Measured]) -> Figure:
    series = [Series(one.name, list(BIN_LABELS), [100 * share for share in one.lengths.shares]) for one in measured]
    caption = "C2: users by the number of their interactions"
    return Figure("c2_lengths", caption, "bars", "interactions of a user", "% of the users", series)


def _heats(name: str, found: Pulls) -> list[Figure]:
    unit, left_out = "% of the purchases of a value", _left_out(found)
    return [
        Figure(
            f"c3_months_{_file_word(name)}",
            f"C3, {name}: the purchases of each value (their number) by month{left_out}",
            "heat",
            "month",
            unit,
            _rows(found, found.by_month, "by_month", MONTHS),
        ),
        Figure(
            f"c3_holidays_{_file_word(name)}",
            f"C3, {name}: the purchases of each value (their number) at most 14 days before a holiday{left_out}",
            "heat",
            "holiday",
            unit,
            _rows(found, found.by_holiday, "by_holiday", HOLIDAYS),
        ),
    ]


def _file_word(name: str) -> str:
    """The name with what a figure's file name cannot hold replaced; no two names become one."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    return plain if plain == name else f"{plain}-{sha256(name.encode()).hexdigest()[:8]}"


def _shown(found: Pulls) -> list[tuple[str, Seasonality, int]]:
    """(column, pull, row) of the most purchased values, those of one column together."""
    every = [
        (column, pull, row)
        for column, pull in found.columns.items()
        if isinstance(pull, Seasonality)
        for row in range(len(pull.values))
    ]
    purchases = [-int(pull.by_month[row].sum()) for _, pull, row in every]
    return [every[place] for place in sorted(np.argsort(purchases, kind="stable")[:HEAT_ROWS])]


def _left_out(found: Pulls) -> str:
    count = sum(len(pull.values) for pull in found.columns.values() if isinstance(pull, Seasonality)) - len(
        _shown(found)
    )
    return f"; the {count} least purchased values are left out" if count else ""


def _rows(found: Pulls, everything: np.ndarray, table: str, columns: Sequence[str]) -> list[Series]:
    """A row of all purchases, then one a value; times without any purchase are gaps."""
    shown = _shown(found)
    names = [pull.values[row] for _, pull, row in shown]
    rows = [("all purchases", everything)]
    for (column, pull, row), name in zip(shown, names, strict=True):
        rows.append((name if names.count(name) == 1 else f"{name} ({column})", getattr(pull, table)[row]))
    return [
        Series(f"{label} ({counts.sum():,})", list(columns), _per_cent(counts, everything)[: len(columns)])
        for label, counts in rows
    ]


def _per_cent(counts: np.ndarray, everything: np.ndarray) -> list[float | None]:
    total = counts.sum()
    return [100 * float(count / total) if among else None for count, among in zip(counts, everything, strict=True)]
