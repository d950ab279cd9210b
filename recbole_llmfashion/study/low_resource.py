"""Figure 6 of the paper: a share of the training users for every part that learns; catalogue and test rows stay.

The shares are nested: who trains at 5 % trains at 10 % too (key `train_share`).
"""

from collections.abc import Sequence
from dataclasses import replace

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Column, Document, Figure, ReportTable, Series, TableRow
from recbole_llmfashion.study.request import StudyRequest, label_of
from recbole_llmfashion.study.runner import Entry, Runner

METRIC = "ndcg@10"


def shares(request: StudyRequest) -> list[float]:
    """The shares in per cent.

    Raises:
        UserError: something else than numbers above 0, up to 100.
    """
    try:
        found = [float(text) for text in request.options["shares"].split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < share <= 100 for share in found):
        raise UserError(f"--shares: expected numbers above 0 up to 100, found '{request.options['shares']}'")
    return found


def label(model: str, share: float) -> str:
    """A row's name."""
    return f"{label_of(model)}, {share:g} %"


def entries(models: Sequence[str], wanted: Sequence[float]) -> list[Entry]:
    """A row a share and model; with all users it is the model's plain row."""
    return [
        Entry(label(model, share), model, {"train_share": share / 100} if share < 100 else {})
        for share in wanted
        for model in models
    ]


def low_resource(request: StudyRequest, runner: Runner) -> Document:
    """Runs every model with every share."""
    wanted = shares(request)
    rows = runner.run(entries(request.models, wanted))
    lines = {name: assemble.row(name, found) for name, found in rows.items()}
    document = assemble.document(request, runner, f"Low resource on {request.dataset} (the paper's Figure 6)", rows)
    columns = [Column(f"{share:g}", f"{share:g} %") for share in wanted]
    table = ReportTable("low_resource", "NDCG@10 by the share of training users", columns, [])
    for model in request.models:
        of_model = {f"{share:g}": lines[label(model, share)] for share in wanted}
        cells = {key: line.cells.get(METRIC) for key, line in of_model.items()}
        reasons = [f"{key} %: {line.reason}" for key, line in of_model.items() if line.reason]
        table.rows.append(
            TableRow(label_of(model), cells, reason="; ".join(reasons) if len(reasons) == len(cells) else "")
        )
        table.notes += [f"{label_of(model)}, {reason}" for reason in reasons if len(reasons) < len(cells)]
    every = [replace(line, ranked=False) for line in lines.values()]
    document.tables = [table, ReportTable("all", "Every row", assemble.METRICS, every)]
    document.figures = [
        Figure(
            "low_resource",
            f"NDCG@10 on {request.dataset} by the share of training users",
            "lines",
            "training users, %",
            "NDCG@10",
            [
                Series(label_of(model), wanted, [assemble.mean(lines[label(model, share)], METRIC) for share in wanted])
                for model in request.models
            ],
            x_log=True,
        )
    ]
    return document
