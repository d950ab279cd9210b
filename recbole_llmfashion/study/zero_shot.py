"""Figure 5 of the paper: models trained on one dataset, asked on others whose rows train nothing.

Ours: LLM and title model of the source, the target's catalogue text, the memory without and with the target's log.
Recformer: with and without its own pre-training. ID models have no row for an item of another shop.
"""

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Document, Figure, ReportTable, Series, TableRow
from recbole_llmfashion.study.request import ID_MODELS, OWN, SIMPLE_BASELINES, StudyRequest, label_of
from recbole_llmfashion.study.runner import Entry, Runner

RECFORMERS = ("Recformer", "RecformerQuery")


def variants(model: str) -> dict[str, dict[str, object]]:
    """Rows of a model by label, with their keys; none where zero-shot does not apply to it."""
    if model == OWN:
        return {
            f"{OWN}, without the target's log": {"zero_shot_target_log": False},
            f"{OWN}, with the target's log": {"zero_shot_target_log": True},
        }
    if model in RECFORMERS:
        name = label_of(model)
        return {name: {}, f"{name}, without its own pre-training": {"recformer_pretrain_epochs": 0}}
    return {}


def reason(model: str) -> str:
    """Why a model has no zero-shot row."""
    if model in SIMPLE_BASELINES:
        return "not applicable: a floor is a count over the target's own log"
    return "not applicable: an ID model has no embedding for an item of another dataset"


def zero_shot(request: StudyRequest, runner: Runner) -> Document:
    """Runs the rows that apply on every target."""
    targets = [name.strip() for name in request.options["targets"].split(",") if name.strip()]
    if request.dataset in targets:
        raise UserError(f"--targets: {request.dataset} is the source; name others")
    for model in request.models:
        get_model(model)
    chosen = [
        Entry(f"{target}: {name}", model, {**keys, "source_dataset": request.dataset}, target)
        for target in targets
        for model in request.models
        for name, keys in variants(model).items()
    ]
    rows = runner.run(chosen)
    title = f"Zero-shot from {request.dataset} (the paper's Figure 5)"
    document = assemble.document(request, runner, title, rows, [request.dataset, *targets])
    absent = [TableRow(label_of(model), reason=reason(model)) for model in request.models if not variants(model)]
    series: dict[str, list[float | None]] = {}
    for target in targets:
        lines = []
        for entry in chosen:
            if entry.dataset != target:
                continue
            name = entry.label.removeprefix(f"{target}: ")
            line = assemble.row(name, rows[entry.label])
            lines.append(line)
            series.setdefault(name, []).append(assemble.mean(line, "ndcg@10"))
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
    untransferable = [model for model in (*ID_MODELS, *SIMPLE_BASELINES) if model in request.models]
    document.notes.append(
        "The ID list of LLMFashionRec is the generated ID itself: no row of the target trained a table of embeddings. "
        f"Models without a row: {', '.join(untransferable) or 'none'}."
    )
    return document
