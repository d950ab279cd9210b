"""Figure 4 of the paper: test rows whose target does not occur in the training data.

Plain rows are computed from the ranks of the normal runs. The "+cold" rows of ID models, with a shared cold token as in
the Recformer paper (arXiv 2305.13731), are trained separately.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.result_table import COLUMNS
from recbole_llmfashion.evaluation.significance import metric_values
from recbole_llmfashion.study.compare import entries
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Column, Document, ReportTable, TableRow
from recbole_llmfashion.study.request import ID_MODELS, StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner

PLUS = "+cold"  # of the labels of ID models with a cold token


def seen_items(runner: Runner, dataset: str) -> set[str]:
    """Tokens of the items that occur in the training data, including the histories."""
    loaded = runner.loaders(dataset).dataset
    positions = np.unique(loaded.training_actions["item"].to_numpy())
    return {loaded.catalogue.item_ids[i] for i in positions}


def refuse_cold_token(request: StudyRequest) -> None:
    """Raises UserError for `cold_token` on the command line, which would train the plain rows with the token too."""
    if "cold_token" in request.overrides:
        raise UserError('command line: cold_token: the "+cold" rows have it and the others have not; leave it out')


def plus_cold(models: Sequence[str]) -> list[Entry]:
    """The "+cold" rows of the ID models in `models`."""
    return [Entry(f"{model}{PLUS}", model, {"cold_token": True}) for model in models if model in ID_MODELS]


def part_row(label: str, outcomes: Sequence[Outcome], keep: set[str], inside: bool) -> TableRow:
    """Metrics over the test rows whose target is in a set of items, or not in it.

    Args:
        label: label of the row.
        outcomes: one per seed.
        keep: item tokens.
        inside: whether to select the rows with targets in `keep`, or the others.
    """
    line = assemble.row(label, outcomes)
    if line.reason:
        return line
    parts = []
    for result in assemble.results(outcomes):
        part = result.ranks["target"].isin(keep)
        parts.append(result.ranks["rank"][part if inside else ~part].to_numpy())
    if not len(parts[0]):
        return TableRow(label, reason="no such test row")
    cells = {
        metric: assemble.values([float(metric_values(ranks, metric).mean()) for ranks in parts]) for metric in COLUMNS
    }
    return TableRow(label, dict(cells))


def cold_start(request: StudyRequest, runner: Runner) -> Document:
    """Metrics on cold and on warm targets.

    Raises:
        UserError: see `refuse_cold_token`.
    """
    refuse_cold_token(request)
    rows = runner.run(entries(request.models) + (plus_cold(request.models) if request.flag("plus_cold") else []))
    seen = seen_items(runner, request.dataset)
    document = assemble.document(request, runner, f"Cold-start on {request.dataset} (the paper's Figure 4)", rows)
    ranks = assemble.all_ranks(rows).drop_duplicates("user")
    cold = int((~ranks["target"].isin(seen)).sum())
    document.tables = [
        ReportTable("cold", "Cold targets: not in the training data", assemble.METRICS, _part(rows, seen, False)),
        ReportTable("warm", "Warm targets", assemble.METRICS, _part(rows, seen, True)),
        _counts(ranks, cold, len(seen), len(runner.loaders(request.dataset).dataset.catalogue)),
    ]
    document.figures = [assemble.bars("cold_start", f"Cold targets of {request.dataset}", document.tables[0].rows)]
    if cold:
        document.notes.append(f"One hit among the {cold:,} cold targets is {1 / cold:.4f} of their Recall@10.")
    if request.flag("plus_cold"):
        document.notes.append(
            "+cold: trained separately with a shared cold token, which replaces items seen once; after training its "
            "embedding is added to the new row of each cold item (arXiv 2305.13731)."
        )
    return document


def _part(rows: assemble.Rows, seen: set[str], inside: bool) -> list[TableRow]:
    return [part_row(label, outcomes, seen, inside) for label, outcomes in rows.items()]


def _counts(ranks: pd.DataFrame, cold: int, seen: int, items: int) -> ReportTable:
    columns = [Column("count", "count", "count"), Column("share", "%", "share")]
    lines = [
        TableRow("cold test targets", {"count": cold, "share": cold / max(1, len(ranks))}, ranked=False),
        TableRow(
            "warm test targets", {"count": len(ranks) - cold, "share": 1 - cold / max(1, len(ranks))}, ranked=False
        ),
        TableRow(
            "items of the catalogue never seen in training",
            {"count": items - seen, "share": 1 - seen / items},
            ranked=False,
        ),
    ]
    return ReportTable("counts", "Counts of cold and warm items", columns, lines, label="")
