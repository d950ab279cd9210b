"""What the lists of a study are like beyond their hits: coverage, Gini index, popularity, and what they cost."""

from collections.abc import Mapping, Sequence

import numpy as np

from recbole_llmfashion.evaluation.result import BEYOND
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Cell, Column, Document, ReportTable, TableRow
from recbole_llmfashion.study.request import StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner

NAME = "beyond"
_NOTES = [
    "By RecBole's metrics on the lists of the test rows: ItemCoverage, the share of the catalogue in some list; "
    "GiniIndex, 0 where all items are listed equally often and 1 where one item fills every list; "
    "AveragePopularity, the mean number of training rows that end in a listed item. RecBole counts its padding item "
    "as one of the catalogue.",
    "seconds: all stages, with the time that reused ones took once. ms per user: scoring the test rows in batches, "
    "their responses by the LLM included.",
]


def add_beyond(document: Document, request: StudyRequest, runner: Runner) -> None:
    """Adds the table to a document: always to that of `compare`, to others where the key `metrics` names one of them.

    Args:
        document: of a finished study.
        request: its request.
        runner: ran its rows.
    """
    given = [name for name in BEYOND if name.lower() in _given(runner)]
    names = list(BEYOND) if request.study == "compare" else given
    if names and any(outcome.result for outcomes in runner.ran.values() for outcome in outcomes):
        document.tables.append(beyond(runner.ran, names))


def _given(runner: Runner) -> set[str]:
    return {str(name).lower() for name in runner.config(Entry("", "Popularity"))["metrics"]}


def beyond(rows: Mapping[str, Sequence[Outcome]], names: Sequence[str]) -> ReportTable:
    """The table, one row per label; of these metrics no value is best.

    Args:
        rows: outcomes by label.
        names: RecBole's names of the metrics to show.
    """
    ran = [result for outcomes in rows.values() for result in assemble.results(outcomes)]
    found = {key: None for result in ran for key in result.metrics}
    keys = {key: f"{name}@{key.partition('@')[2]}" for name in names for key in found if _is(key, name)}
    columns = [Column(key, title, "number") for key, title in keys.items()]
    cost = [Column("seconds", "seconds", "number"), Column("ms_per_user", "ms per user", "number")]
    lines = [_line(label, outcomes, list(keys)) for label, outcomes in rows.items()]
    return ReportTable(NAME, "Beyond accuracy", [*columns, *cost], lines, list(_NOTES))


def _is(key: str, name: str) -> bool:
    return key.partition("@")[0] == name.lower()


def _line(label: str, outcomes: Sequence[Outcome], keys: Sequence[str]) -> TableRow:
    line = assemble.row(label, outcomes, ())
    ran = assemble.results(outcomes)
    if line.reason or not ran:
        return line
    for key in keys:
        line.cells[key] = assemble.values([result.metrics[key] for result in ran]) if key in ran[0].metrics else None
    spent = [sum(s for stage, s in result.seconds.items() if stage != "total") for result in ran]
    each = [result.ms_per_user for result in ran if result.ms_per_user is not None]
    cost: dict[str, Cell] = {"seconds": float(np.mean(spent)), "ms_per_user": float(np.mean(each)) if each else None}
    line.cells |= cost
    line.ranked = False
    return line
