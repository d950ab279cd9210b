"""Builds the parts of a Document (cells, notes, provenance) from the outcomes of rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.evaluation.collector import RANK_COLUMNS
from recbole_llmfashion.evaluation.result import Result, masked_notes
from recbole_llmfashion.evaluation.result_table import COLUMNS, counting, protocol
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON
from recbole_llmfashion.study.analysis.counts import order_notes
from recbole_llmfashion.study.report.document import (
    METRIC_TITLES,
    Cell,
    Column,
    Document,
    Figure,
    ReportTable,
    Series,
    TableRow,
    Value,
)
from recbole_llmfashion.study.request import OWN, PAPER_FORM, UNTRAINED_FORM, StudyRequest, label_of
from recbole_llmfashion.study.runner import Entry, Outcome, Runner
from recbole_llmfashion.versions import versions

Rows = Mapping[str, Sequence[Outcome]]
METRICS = [Column(name, METRIC_TITLES[name]) for name in COLUMNS]
READING = (
    "Test rows: the final purchase of each user. {} MRR@10 is RecBole's, MRR is over the full catalogue; the paper "
    "does not say which one it reports."
)
BACKBONE = (
    "The tiny-falcon backbone of LLMFashionRec comes with the package. It was pre-trained on random sequences to copy "
    "and on simulated shops with other seeds and renamed brands, never on this dataset (see its README.md). "
    "'study ablation --form=shipped' measures the effect in the row 'w/o pre-training in simulated shops'."
)


PAPERS = (
    f"'{label_of(PAPER_FORM)}' is a row of its own: the paper's prompts, sampled IDs and titles, and mixup by the same "
    f"backbone. '{OWN}' is the default that the package ships."
)
UNTRAINED = (
    f"The simulator that made simulated data also made the shops that tiny-falcon was pre-trained in. "
    f"'{label_of(UNTRAINED_FORM)}' has none of that: its backbone starts from random weights."
)


def values(numbers: Sequence[float]) -> Value:
    """Mean and standard deviation (n - 1) of one number per seed.

    Example:
        >>> values([1.0, 3.0])
        Value(mean=2.0, std=1.4142135623730951)
    """
    return Value(float(np.mean(numbers)), float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None)


def results(outcomes: Sequence[Outcome]) -> list[Result]:
    """The results of the outcomes that succeeded."""
    return [outcome.result for outcome in outcomes if outcome.result is not None]


def _ran(rows: Rows) -> list[Result]:
    return [result for outcomes in rows.values() for result in results(outcomes)]


def row(label: str, outcomes: Sequence[Outcome], metrics: Sequence[str] = COLUMNS) -> TableRow:
    """A row of test metrics; if a seed failed, the row has its reason instead."""
    failed = [outcome for outcome in outcomes if outcome.result is None]
    if failed:
        return TableRow(label, reason=f"seed {failed[0].seed}: {failed[0].reason}")
    ran = results(outcomes)
    return TableRow(label, {name: values([result.metrics[name] for result in ran]) for name in metrics})


def mean(line: TableRow, metric: str) -> float | None:
    """The mean of a metric in a row; None if it is missing."""
    cell = line.cells.get(metric)
    return cell.mean if isinstance(cell, Value) else None


def _with_cost(line: TableRow, outcomes: Sequence[Outcome]) -> TableRow:
    """Adds epochs, minutes of all stages (including the time of reused ones) and peak memory."""
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
    """One table row per label, with test metrics and costs."""
    return [_with_cost(row(label, outcomes), outcomes) for label, outcomes in rows.items()]


COST = [
    Column("epochs", "epochs", "text"),
    Column("minutes", "minutes", "number"),
    Column("memory", "peak MB", "count"),
]


def cost_table(name: str, rows: Rows, lines: list[TableRow], notes: Sequence[str] = ()) -> ReportTable:
    """The table of test metrics and costs.

    Args:
        name: of the table.
        rows: outcomes by label.
        lines: of `with_costs`.
        notes: further notes below the table.
    """
    return ReportTable(name, "Test metrics", [*METRICS, *COST], lines, [*notes, *_reused(rows)])


def document(request: StudyRequest, runner: Runner, title: str, rows: Rows, datasets: Sequence[str] = ()) -> Document:
    """A document without tables and figures.

    Args:
        request: the request of the study.
        runner: describes the datasets.
        title: title of the document.
        rows: outcomes by label.
        datasets: names of the datasets; default: the dataset of the request.
    """
    names = list(datasets) or [request.dataset]
    data = {name: runner.describe(name) for name in names}
    return Document(
        study=request.study,
        title=title,
        dataset=", ".join(names),
        data=data,
        seeds=runner.seeds,
        command=request.command,
        versions=versions(),
        protocol=protocol(_ran(rows)) | {"split": str(runner.config(Entry("", "Popularity"))["split_by"])},
        settings=dict(request.overrides)
        | ({"config_files": list(request.config_files)} if request.config_files else {}),
        models={label: [outcome.as_json() for outcome in outcomes] for label, outcomes in rows.items()},
        notes=[
            READING.format(counting(_ran(rows))),
            *masked_notes(_ran(rows)),
            *_bounded(rows),
            *_tuned(rows),
            *([BACKBONE] if _has_own_row(rows) and embedded(runner) else []),
            *_of_forms(rows),
            *order_notes(data),
        ],
    )


def _of_forms(rows: Rows) -> list[str]:
    notes = {PAPER_FORM: PAPERS, UNTRAINED_FORM: UNTRAINED}
    return [note for form, note in notes.items() if any(label_of(form) in label for label in rows)]


def _has_own_row(rows: Rows) -> bool:
    """Whether a row, of whatever label, is one of LLMFashionRec."""
    names = (outcome.name for outcomes in rows.values() for outcome in outcomes)
    return any(name is not None and name.model == OWN for name in names)


def embedded(runner: Runner) -> bool:
    """Whether the backbone of LLMFashionRec is tiny-falcon."""
    return runner.config(Entry("", OWN))["llm_name_or_path"] == TINY_FALCON


def _bounded(rows: Rows) -> list[str]:
    """A note on the rows that ran all epochs that their YAML allows."""

    def at_limit(result: Result) -> bool:
        return "epochs" in result.details and result.details["epochs"] >= result.details["epochs_allowed"]

    names = _where(rows, at_limit)
    return [f"Ran all epochs that their YAML allows: {', '.join(names)}."] if names else []


def _reused(rows: Rows) -> list[str]:
    """A note on the stages that earlier rows or runs had made, whose memory no row has measured here."""
    stages = {
        label: sorted({one for result in results(outcomes) for one in result.reused})
        for label, outcomes in rows.items()
    }
    texts = [f"{label} ({', '.join(names)})" for label, names in stages.items() if names]
    return [f"peak MB is without the stages that were reused: {'; '.join(texts)}."] if texts else []


def _tuned(rows: Rows) -> list[str]:
    tuned = _where(rows, lambda result: bool(result.details.get("tuned")))
    default = _where(rows, lambda result: result.details.get("tuned") is False)
    return [
        f"{text}: {', '.join(names)}."
        for text, names in (
            ("Tuned on validation (properties/tuned)", tuned),
            ("Not tuned, default settings (no file in properties/tuned)", default),
        )
        if names
    ]


def _where(rows: Rows, condition: Callable[[Result], bool]) -> list[str]:
    return [label for label, outcomes in rows.items() if any(condition(result) for result in results(outcomes))]


def all_ranks(rows: Rows) -> pd.DataFrame:
    """Ranks of all rows that ran: columns model (the label), seed, user, target, rank, top."""
    frames = [
        outcome.result.ranks.assign(model=label, seed=outcome.seed)
        for label, outcomes in rows.items()
        for outcome in outcomes
        if outcome.result is not None
    ]
    columns = ["model", "seed", *RANK_COLUMNS]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def gain(subject: float, best: float) -> float | None:
    """Improvement over another value in per cent; None if that value is 0.

    Example:
        >>> round(gain(0.3, 0.2), 6)
        50.0
    """
    return None if best == 0 else 100 * (subject - best) / best


def best_other(lines: Sequence[TableRow], subject: str, metric: str) -> tuple[str, float] | None:
    """Label and mean of the best row other than the subject's; None if there is none."""
    means = [
        (line.label, cell.mean)
        for line in lines
        if line.label != subject and isinstance(cell := line.cells.get(metric), Value)
    ]
    return max(means, key=lambda pair: pair[1]) if means else None


def bars(name: str, caption: str, lines: Sequence[TableRow]) -> Figure:
    """A bar chart with the Recall@10 and the NDCG@10 of each row; rows with a reason are left out."""
    complete = [line for line in lines if not line.reason]
    labels = [line.label for line in complete]
    series = [
        Series(METRIC_TITLES[metric], labels, [mean(line, metric) for line in complete])
        for metric in ("recall@10", "ndcg@10")
    ]
    return Figure(name, caption, "bars", "", "test metric", series)


def details(outcomes: Sequence[Outcome], *path: str) -> list[Any]:
    """The nested detail at `path` of each result that has it."""
    nested = []
    for result in results(outcomes):
        value: Any = result.details
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            nested.append(value)
    return nested
