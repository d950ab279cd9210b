"""From rows that have run to the parts of a Document: cells, notes, what made them. Knows no study and runs nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.evaluation.collector import RANK_COLUMNS
from recbole_llmfashion.evaluation.result import Result
from recbole_llmfashion.evaluation.result_table import COLUMNS
from recbole_llmfashion.pipeline.language_model import TINY_FALCON
from recbole_llmfashion.study.report.document import (
    METRIC_TITLES,
    Cell,
    Column,
    Document,
    Figure,
    Series,
    TableRow,
    Value,
)
from recbole_llmfashion.study.request import OWN, StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner
from recbole_llmfashion.versions import versions

Rows = Mapping[str, Sequence[Outcome]]
METRICS = [Column(name, METRIC_TITLES[name]) for name in COLUMNS]
READING = (
    "Test rows: the final purchase of each user among all items, history not masked. MRR@10 is RecBole's, MRR is over "
    "the full catalogue: the paper does not say which it means."
)
BACKBONE = (
    "The tiny-falcon backbone of LLMFashionRec comes with the package, pre-trained on random sequences to copy and on "
    "worlds of the package's simulator with other seeds and renamed brands, never on this dataset; its README.md names "
    "them. What that adds, `study ablation` measures: 'backbone without simulator pre-training'."
)


def values(numbers: Sequence[float]) -> Value:
    """Mean and standard deviation (n - 1) of one number a seed."""
    return Value(float(np.mean(numbers)), float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None)


def results(outcomes: Sequence[Outcome]) -> list[Result]:
    """Those that ran."""
    return [outcome.result for outcome in outcomes if outcome.result is not None]


def row(label: str, outcomes: Sequence[Outcome], metrics: Sequence[str] = COLUMNS) -> TableRow:
    """A line of test metrics; one seed that failed makes the whole line a reason."""
    failed = [outcome for outcome in outcomes if outcome.result is None]
    if failed:
        return TableRow(label, reason=f"seed {failed[0].seed}: {failed[0].reason}")
    ran = results(outcomes)
    return TableRow(label, {name: values([result.metrics[name] for result in ran]) for name in metrics})


def mean(line: TableRow, metric: str) -> float | None:
    """A row's mean of a metric."""
    cell = line.cells.get(metric)
    return cell.mean if isinstance(cell, Value) else None


def _with_cost(line: TableRow, outcomes: Sequence[Outcome]) -> TableRow:
    """Adds epochs, minutes of all stages when they were made, and peak memory."""
    ran = results(outcomes)
    if line.reason or not ran:
        return line
    epochs: Cell = None
    if "epochs" in ran[0].details:
        run = sorted({int(result.details["epochs"]) for result in ran})
        epochs = f"{run[0] if len(run) == 1 else f'{run[0]} to {run[-1]}'} of {ran[0].details['epochs_allowed']}"
    minutes = [sum(s for stage, s in result.seconds.items() if stage != "total") / 60 for result in ran]
    line.cells |= {
        "epochs": epochs,
        "minutes": float(np.mean(minutes)),
        "memory": int(max(result.peak_memory_mb for result in ran)),
    }
    return line


def with_costs(rows: Rows) -> list[TableRow]:
    """A line a row, test metrics and costs."""
    return [_with_cost(row(label, found), found) for label, found in rows.items()]


COST = [
    Column("epochs", "epochs", "text"),
    Column("minutes", "minutes", "number"),
    Column("memory", "peak MB", "count"),
]


def document(request: StudyRequest, runner: Runner, title: str, rows: Rows, datasets: Sequence[str] = ()) -> Document:
    """A document with everything but its tables and figures."""
    names = list(datasets) or [request.dataset]
    return Document(
        study=request.study,
        title=title,
        dataset=", ".join(names),
        data={name: runner.describe(name) for name in names},
        seeds=runner.seeds,
        command=request.command,
        versions=versions(),
        settings=dict(request.overrides)
        | ({"config_files": list(request.config_files)} if request.config_files else {}),
        models={label: [outcome.as_json() for outcome in outcomes] for label, outcomes in rows.items()},
        notes=[READING, *_bounded(rows), *_tuned(rows), *([BACKBONE] if embedded(runner) else [])],
    )


def embedded(runner: Runner) -> bool:
    """Whether LLMFashionRec's backbone is the one that ships."""
    return runner.config(Entry("", OWN))["llm_name_or_path"] == TINY_FALCON


def _bounded(rows: Rows) -> list[str]:
    """Which rows ended because their YAML allows no more epochs."""

    def at_limit(result: Result) -> bool:
        return "epochs" in result.details and result.details["epochs"] >= result.details["epochs_allowed"]

    names = _where(rows, at_limit)
    return [f"Bounded, they ran every epoch that their YAML allows: {', '.join(names)}."] if names else []


def _tuned(rows: Rows) -> list[str]:
    tuned = _where(rows, lambda result: bool(result.details.get("tuned")))
    default = _where(rows, lambda result: result.details.get("tuned") is False)
    return [
        f"{said}: {', '.join(names)}."
        for said, names in (
            ("Tuned on validation, by properties/tuned", tuned),
            ("Not tuned: RecBole's or our own defaults, for properties/tuned has no file", default),
        )
        if names
    ]


def _where(rows: Rows, holds: Callable[[Result], bool]) -> list[str]:
    return [label for label, outcomes in rows.items() if any(holds(result) for result in results(outcomes))]


def all_ranks(rows: Rows) -> pd.DataFrame:
    """Model (the label), seed, user, target, rank, top of every row that ran."""
    frames = [
        outcome.result.ranks.assign(model=label, seed=outcome.seed)
        for label, outcomes in rows.items()
        for outcome in outcomes
        if outcome.result is not None
    ]
    columns = ["model", "seed", *RANK_COLUMNS]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def gain(subject: float, best: float) -> float | None:
    """Improvement over the best other in per cent; none over nothing."""
    return None if best == 0 else 100 * (subject - best) / best


def best_other(lines: Sequence[TableRow], subject: str, metric: str) -> tuple[str, float] | None:
    """The best line but the subject's by a metric."""
    found = [
        (line.label, cell.mean)
        for line in lines
        if line.label != subject and isinstance(cell := line.cells.get(metric), Value)
    ]
    return max(found, key=lambda pair: pair[1]) if found else None


def bars(
    name: str, caption: str, lines: Sequence[TableRow], metrics: Sequence[str] = ("recall@10", "ndcg@10")
) -> Figure:
    """A bar a row for each metric."""
    shown = [line for line in lines if not line.reason]
    labels = [line.label for line in shown]
    series = [Series(METRIC_TITLES[metric], labels, [mean(line, metric) for line in shown]) for metric in metrics]
    return Figure(name, caption, "bars", "", "test metric", series)


def details(outcomes: Sequence[Outcome], *path: str) -> list[Any]:
    """A nested detail of each result that has it."""
    found = []
    for result in results(outcomes):
        value: Any = result.details
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            found.append(value)
    return found
