"""Table 2 of the paper: every model on the same test rows, with significance tests and the gain of LLMFashionRec.

The simple baselines are included as a lower bound.
"""

from collections.abc import Sequence

from recbole_llmfashion.evaluation.result_table import COLUMNS
from recbole_llmfashion.evaluation.significance import compare_rows
from recbole_llmfashion.study.forms import form_keys
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import (
    METRIC_TITLES,
    Cell,
    Column,
    Document,
    ReportTable,
    TableRow,
    Value,
)
from recbole_llmfashion.study.report.significance_table import significance_table
from recbole_llmfashion.study.request import FORM_LABELS, OWN, StudyRequest, label_of, registry_name
from recbole_llmfashion.study.runner import Entry, Runner

TESTED = ("ndcg@10", "recall@10")  # metrics whose differences are tested


def entries(models: Sequence[str]) -> list[Entry]:
    """One row per model."""
    return [Entry(label_of(model), registry_name(model), form_keys(model), group=label_of(model)) for model in models]


def compare(request: StudyRequest, runner: Runner) -> Document:
    """Runs every model and compares LLMFashionRec with each."""
    rows = runner.run(entries(request.models))
    lines = assemble.with_costs(rows)
    document = assemble.document(request, runner, f"Comparison on {request.dataset} (the paper's Table 2)", rows)
    table = assemble.cost_table("table2", rows, lines)
    document.tables = [table]
    ran = [line.label for line in lines if not line.reason]
    if OWN in ran and len(ran) > 1:
        document.tables += [*([_improvement(lines)] if set(ran) - {OWN, *FORM_LABELS} else []), _gains(lines)]
        ranks = assemble.all_ranks(rows)
        others = [label for label in ran if label != OWN]
        comparisons = [result for metric in TESTED for result in compare_rows(ranks, OWN, others, metric)]
        document.tables.append(significance_table(comparisons))
    document.figures = [assemble.bars("metrics", f"Test metrics on {request.dataset}", lines)]
    return document


def _gains(lines: Sequence[TableRow]) -> ReportTable:
    """Gain of LLMFashionRec over each other row, in per cent."""
    columns = [Column(metric, METRIC_TITLES[metric], "number") for metric in COLUMNS]
    table = ReportTable("gains", f"{OWN} over each other row, in per cent", columns, [])
    ran = [line for line in lines if not line.reason]
    subject = next(line for line in ran if line.label == OWN)
    for line in ran:
        if line is not subject:
            pairs = {metric: (assemble.mean(subject, metric), assemble.mean(line, metric)) for metric in COLUMNS}
            cells: dict[str, Cell] = {
                metric: None if own is None or other is None else assemble.gain(own, other)
                for metric, (own, other) in pairs.items()
            }
            table.rows.append(TableRow(f"{OWN} over {line.label}", cells, ranked=False))
    return table


def _improvement(lines: Sequence[TableRow]) -> ReportTable:
    """Gain of LLMFashionRec over the best other row, in per cent; another form of it is no other row."""
    others = [line for line in lines if line.label not in FORM_LABELS]
    own = next(line for line in lines if line.label == OWN)
    table = ReportTable(
        "improvement",
        f"{OWN} against the best other row",
        [
            Column("best", "best other", "text"),
            Column("value", "its value"),
            Column("own", OWN),
            Column("gain", "%", "number"),
        ],
        [],
        label="metric",
    )
    for metric in COLUMNS:
        best, cell = assemble.best_other(others, OWN, metric), own.cells[metric]
        assert best is not None and isinstance(cell, Value)
        cells: dict[str, Cell] = {
            "best": best[0],
            "value": best[1],
            "own": cell.mean,
            "gain": assemble.gain(cell.mean, best[1]),
        }
        table.rows.append(TableRow(METRIC_TITLES[metric], cells, ranked=False))
    return table
