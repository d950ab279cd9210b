"""Figure 5 of the paper: models trained on a source dataset, evaluated on target datasets that train nothing.

LLMFashionRec uses the LLM and the title model of the source, the catalogue texts of the target, and a memory with or
without the log of the target. Recformer is evaluated with and without its own pre-training. ID models cannot be
evaluated, as they have no embedding for an item of another dataset.
"""

from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.study.forms import form_keys
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Document, Figure, ReportTable, Series, TableRow
from recbole_llmfashion.study.request import (
    OWN,
    SIMPLE_BASELINES,
    TITLE_MODELS,
    WITHOUT_LLM,
    StudyRequest,
    label_of,
    registry_name,
)
from recbole_llmfashion.study.runner import Entry, Runner

RECFORMERS = ("Recformer", "RecformerQuery")


def variants(model: str) -> dict[str, dict[str, object]]:
    """Keys of each row of a model, by label; empty if zero-shot does not apply to the model."""
    if registry_name(model) == OWN:
        form, name = form_keys(model), label_of(model)
        return {
            f"{name}, without the target's log": {**form, "zero_shot_target_log": False},
            f"{name}, with the target's log": {**form, "zero_shot_target_log": True},
        }
    if model in RECFORMERS:
        name = label_of(model)
        return {name: {}, f"{name}, without its own pre-training": {"recformer_pretrain_epochs": 0}}
    return {}


def reason(model: str) -> str:
    """Why a model has no zero-shot row."""
    if model in SIMPLE_BASELINES:
        return "not applicable: a simple baseline uses counts of the target's own log"
    if model in TITLE_MODELS:
        return "not applicable: it trains on the target's own log"
    if model == WITHOUT_LLM:
        return "not applicable: no list without the LLM knows the items of another dataset"
    return "not applicable: an ID model has no embedding for an item of another dataset"


def zero_shot(request: StudyRequest, runner: Runner) -> Document:
    """Runs all applicable rows on every target.

    Raises:
        UserError: the source is among the targets, or a model is unknown.
    """
    targets = request.targets
    for model in request.registered:
        get_model(model)
    entries = [entry for target in targets for entry in _entries(request, target)]
    rows = runner.run(entries)
    title = f"Zero-shot from {request.dataset} (the paper's Figure 5)"
    document = assemble.document(request, runner, title, rows, [request.dataset, *targets])
    absent = [TableRow(label_of(model), reason=reason(model)) for model in request.models if not variants(model)]
    series: dict[str, list[float | None]] = {}
    for target in targets:
        lines = [_line(entry, rows) for entry in entries if entry.dataset == target]
        for line in lines:
            series.setdefault(line.label, []).append(assemble.mean(line, "ndcg@10"))
        document.tables.append(
            ReportTable(f"zero_shot_{target}", f"{request.dataset} to {target}", assemble.METRICS, lines + absent)
        )
    document.figures = [
        Figure(
            "zero_shot",
            f"NDCG@10 of models trained on {request.dataset}",
            "bars",
            "",
            "NDCG@10",
            [Series(name, targets, values) for name, values in series.items()],
        )
    ]
    document.notes.append(_note(request))
    return document


def _note(request: StudyRequest) -> str:
    without = [label_of(model) for model in request.models if not variants(model)]
    return (
        "The ID list of LLMFashionRec is the generated ID itself, as the target trains no table of embeddings. "
        f"Models without a row: {', '.join(without) or 'none'}."
    )


def _entries(request: StudyRequest, target: str) -> list[Entry]:
    """The applicable rows of all models on one target."""
    return [
        Entry(
            f"{target}: {name}",
            registry_name(model),
            {**keys, "source_dataset": request.dataset},
            target,
            group=label_of(model),
        )
        for model in request.models
        for name, keys in variants(model).items()
    ]


def _line(entry: Entry, rows: assemble.Rows) -> TableRow:
    return assemble.row(entry.label.removeprefix(f"{entry.dataset}: "), rows[entry.label])
