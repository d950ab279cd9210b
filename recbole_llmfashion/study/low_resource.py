"""Figure 6 of the paper: all parts train on a share of the training users; catalogue and test rows do not change.

The shares are nested: a user of the 5 % share is also in the 10 % share (key `train_share`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.forms import form_keys
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Column, Document, Figure, ReportTable, Series, TableRow
from recbole_llmfashion.study.request import StudyRequest, label_of, registry_name
from recbole_llmfashion.study.runner import Entry, Runner

METRIC = "ndcg@10"


def shares(request: StudyRequest) -> list[float]:
    """The shares in per cent, each once.

    Raises:
        UserError: a value is not a number above 0, up to 100.
    """
    try:
        numbers = [float(text) for text in request.options["shares"].split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < share <= 100 for share in numbers):
        raise UserError(
            f"--shares: expected percentages above 0, up to 100, such as 5,100; found '{request.options['shares']}'"
        )
    return list(dict.fromkeys(numbers))


def label(model: str, share: float) -> str:
    """The label of a row."""
    return f"{label_of(model)}, {share:g} %"


def entries(models: Sequence[str], percentages: Sequence[float]) -> list[Entry]:
    """One row per share and model; with 100 % it is the plain row of the model."""
    return [
        Entry(
            label(model, share),
            registry_name(model),
            form_keys(model) | {"train_share": share / 100},
            group=label_of(model),
        )
        for share in percentages
        for model in models
    ]


def low_resource(request: StudyRequest, runner: Runner) -> Document:
    """Runs every model with every share."""
    percentages = shares(request)
    rows = runner.run(entries(request.models, percentages))
    lines = {name: assemble.row(name, outcomes) for name, outcomes in rows.items()}
    document = assemble.document(request, runner, f"Low resource on {request.dataset} (the paper's Figure 6)", rows)
    every = [replace(line, ranked=False) for line in lines.values()]
    document.tables = [
        _by_share(request.models, percentages, lines),
        ReportTable("all", "Every row", assemble.METRICS, every),
    ]
    document.figures = [_figure(request, percentages, lines)]
    return document


def _by_share(models: Sequence[str], percentages: Sequence[float], lines: Mapping[str, TableRow]) -> ReportTable:
    """NDCG@10, one row per model and one column per share."""
    columns = [Column(f"{share:g}", f"{share:g} %") for share in percentages]
    table = ReportTable("low_resource", "NDCG@10 by the share of training users", columns, [])
    for model in models:
        of_model = {f"{share:g}": lines[label(model, share)] for share in percentages}
        cells = {key: line.cells.get(METRIC) for key, line in of_model.items()}
        reasons = [f"{key} %: {line.reason}" for key, line in of_model.items() if line.reason]
        table.rows.append(
            TableRow(label_of(model), cells, reason="; ".join(reasons) if len(reasons) == len(cells) else "")
        )
        table.notes += [f"{label_of(model)}, {reason}" for reason in reasons if len(reasons) < len(cells)]
    return table


def _figure(request: StudyRequest, percentages: Sequence[float], lines: Mapping[str, TableRow]) -> Figure:
    return Figure(
        "low_resource",
        f"NDCG@10 on {request.dataset} by the share of training users",
        "lines",
        "training users, %",
        "NDCG@10",
        [
            Series(
                label_of(model),
                percentages,
                [assemble.mean(lines[label(model, share)], METRIC) for share in percentages],
            )
            for model in request.models
        ],
        x_log=True,
    )
