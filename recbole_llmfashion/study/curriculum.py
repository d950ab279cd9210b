"""The effect of the paper's curriculum (section 4.3): the extra epochs on the hardest prompts, removed or randomized.

Three rows: one uniform epoch and two more on the hardest fifth; the uniform epoch only; the same extra steps on random
prompts. All rows have the paper's form (forms.py), whose sampled responses can be malformed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_llmfashion.study.forms import beside, paper_form, size_note
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Column, Document, ReportTable, TableRow
from recbole_llmfashion.study.report.effects import INTERVAL, contrast, effect_cells, effect_columns
from recbole_llmfashion.study.request import OWN, StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner

CURRICULUM: dict[str, dict[str, Any]] = {
    "uniform, then the hardest": {"curriculum_epochs": 3},
    "uniform only": {"curriculum_epochs": 1},
    "uniform, then random ones": {"curriculum_epochs": 3, "curriculum_choice": "random"},
}
VALIDITY = [
    Column("malformed", "malformed responses", "share"),
    Column("unknown", "unknown IDs", "share"),
    Column("perplexity", "perplexity of the response, mean", "number"),
    Column("median", "its median", "number"),
]


def entries() -> list[Entry]:
    """The three rows."""
    form = {**paper_form(), "llm_epochs": 1}
    return [Entry(label, OWN, form | keys) for label, keys in CURRICULUM.items()]


def curriculum(request: StudyRequest, runner: Runner) -> Document:
    """Runs the three rows."""
    rows = runner.run(entries() + beside(request))
    lines = assemble.with_costs(rows)
    note = size_note(runner.config(entries()[0]))
    document = assemble.document(request, runner, f"The curriculum on {request.dataset} (the paper's 4.3)", rows)
    document.tables = [
        assemble.cost_table("metrics", rows, lines, [note] if note else []),
        _differences(rows, {line.label: line.reason for line in lines}),
        ReportTable(
            "answers",
            "Responses of the test rows, and perplexity of training prompts after training",
            VALIDITY,
            [_validity(line, rows[line.label]) for line in lines if line.label in CURRICULUM],
            ["Perplexity: over 512 training prompts, including ones with extra epochs."],
        ),
    ]
    document.figures = [assemble.bars("curriculum", f"The curriculum on {request.dataset}", lines)]
    return document


def _differences(rows: assemble.Rows, reasons: Mapping[str, str]) -> ReportTable:
    """The row of the paper's curriculum minus each of the two others, or why one of the two has no figures."""
    ranks = assemble.all_ranks(rows)
    whole, *others = CURRICULUM
    lines = [
        TableRow(
            f"over {other}",
            effect_cells(contrast(ranks, {whole: 1, other: -1}, "ndcg@10")),
            reason=reasons[whole] or reasons[other],
            ranked=False,
        )
        for other in others
    ]
    title = f"NDCG@10 of '{whole}' minus that of the others"
    return ReportTable("differences", title, effect_columns("difference"), lines, [INTERVAL], "")


def _validity(line: TableRow, outcomes: Sequence[Outcome]) -> TableRow:
    def values(*path: str) -> list[float]:
        return [float(value) for value in assemble.details(outcomes, "generation", *path)]

    if line.reason:
        return TableRow(line.label, reason=line.reason)
    return TableRow(
        line.label,
        {
            "malformed": assemble.values([1 - rate for rate in values("format_rate")]),
            "unknown": assemble.values([1 - rate for rate in values("valid_id_rate")]),
            "perplexity": assemble.values(values("perplexity", "after_hard", "mean")),
            "median": assemble.values(values("perplexity", "after_hard", "median")),
        },
        ranked=False,
    )
