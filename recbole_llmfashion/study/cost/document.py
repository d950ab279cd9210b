"""Accuracy against cost: a run per setting, its answers measured, the points that no other setting beats.

Accuracy is NDCG@10 on validation rows; the test rows' is printed and decides nothing. Each run is a stage, and the
measurements of a table are one: a setting that changes inference only finds every trained stage of the default.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_llmfashion.data.loaders import rows_of, stage_root
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.study.cost.front import TOLERANCE, Point, candidate, pareto_front
from recbole_llmfashion.study.cost.measure import ROUNDS, Cost, measure
from recbole_llmfashion.study.cost.points import DEFAULT, Setting, settings
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import (
    Cell,
    Column,
    Document,
    Figure,
    ReportTable,
    Series,
    TableRow,
    Value,
)
from recbole_llmfashion.study.request import OWN, StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner

ACCURACY = "ndcg@10"
TRAINED = ("adapter",)  # the stage that a change of inference leaves as it is
AXES = {"time": ("processor", "CPU ms per user"), "tokens": ("tokens", "tokens per prompt")}
# Share that a candidate saves. Tokens are counted. Times of equal work differ by up to two fifths on a machine with
# other jobs, so there a candidate by time alone only says what to measure again on an idle one.
SAVING = {"tokens": 0.05, "time": 0.35}
COLUMNS = [
    Column("valid", "NDCG@10, validation", "metric"),
    Column("test", "NDCG@10, test", "text"),
    Column("tokens", "tokens per prompt", "number"),
    Column("milliseconds", "ms per user", "number"),
    Column("processor", "CPU ms per user", "number"),
    Column("memory", "peak MB", "count"),
    Column("joules", "J per user", "number"),
    Column("training", "training s", "count"),
    Column("front", "not beaten in", "text"),
]


def cost(request: StudyRequest, runner: Runner) -> Document:
    """Runs and measures every setting.

    Raises:
        UserError: an unknown group, an option that is no number, or there is no validation row.
    """
    if len(rows_of(runner.loaders(request.dataset).valid)) == 0:
        raise UserError("no validation row: no user has two purchases; study cost needs validation rows")
    chosen = settings(*(request.options[name] for name in ("groups", "lengths", "backbones")))
    entries = {one.label: Entry(one.label, OWN, one.keys) for one in chosen}
    users = int(request.options["users"])
    rows = runner.run(list(entries.values()))
    costs = measured(runner, entries, rows, users)
    lines = {label: _line(label, outcomes, costs[label]) for label, outcomes in rows.items()}
    points = {axis: _points(list(lines.values()), key) for axis, (key, _) in AXES.items()}
    fronts = {axis: [point.label for point in pareto_front(found)] for axis, found in points.items()}
    for label, line in lines.items():
        if not line.reason:
            line.cells["front"] = ", ".join(axis for axis, labels in fronts.items() if label in labels)
    document = assemble.document(request, runner, f"Accuracy and cost on {request.dataset}", rows)
    document.tables = [
        ReportTable("cost", "Settings", COLUMNS, list(lines.values()), _notes(chosen, costs), label="setting")
    ]
    document.figures = [_figure(axis, found, request.dataset) for axis, found in points.items()]
    document.notes.append(verdict(points))
    return document


def measured(
    runner: Runner, entries: Mapping[str, Entry], rows: Mapping[str, Sequence[Outcome]], users: int
) -> dict[str, Cost | None]:
    """What the answers of each setting's first seed cost; None for a failed run.

    All settings are measured one after another and kept as one stage: on a machine that others use too, a figure
    compares with those of the same hour.
    """
    first = {label: outcomes[0] for label, outcomes in rows.items() if outcomes and outcomes[0].result is not None}
    if not first:
        return dict.fromkeys(rows)
    configs = {label: runner.config(entries[label], outcome.seed) for label, outcome in first.items()}
    store = StageStore(stage_root(next(iter(configs.values()))))
    inputs = {
        label: runner.inputs(configs[label], entries[label], outcome.seed, store.digests)
        for label, outcome in first.items()
    }

    def build(folder: Path) -> None:
        spent = {label: measure(config, users).as_json() for label, config in configs.items()}
        (folder / "cost.json").write_text(json.dumps(spent), encoding="utf-8")

    stage = store.get("cost", {"rows": inputs, "users": users, "rounds": ROUNDS}, build)
    spent = json.loads((stage / "cost.json").read_text(encoding="utf-8"))
    return {label: Cost.from_json(spent[label]) if label in spent else None for label in rows}


def _line(label: str, outcomes: Sequence[Outcome], spent: Cost | None) -> TableRow:
    line = assemble.row(label, outcomes, metrics=())
    found = assemble.results(outcomes)
    if line.reason or spent is None or not found:
        return line
    valid = [result.valid[ACCURACY] for result in found if ACCURACY in result.valid]
    test = [result.metrics[ACCURACY] for result in found if ACCURACY in result.metrics]
    training = sum(result.seconds.get(stage, 0.0) for result in found for stage in TRAINED) / len(found)
    cells: dict[str, Cell] = {
        "valid": assemble.values(valid) if valid else None,
        "test": f"{sum(test) / len(test):.4f}" if test else None,
        "tokens": spent.tokens,
        "milliseconds": spent.milliseconds,
        "processor": spent.processor_milliseconds,
        "memory": int(spent.peak_mb),
        "joules": spent.joules,
        "training": int(training),
    }
    return TableRow(label, cells)


def _points(lines: Sequence[TableRow], key: str) -> list[Point]:
    """The settings that ran, by one kind of cost."""
    found = []
    for line in lines:
        price, accuracy = line.cells.get(key), line.cells.get("valid")
        if isinstance(price, float) and isinstance(accuracy, Value):
            found.append(Point(line.label, price, accuracy.mean))
    return found


def _figure(axis: str, points: Sequence[Point], dataset: str) -> Figure:
    front = pareto_front(points)
    series = [Series("not beaten", [point.cost for point in front], [point.accuracy for point in front])]
    series += [Series(point.label, [point.cost], [point.accuracy], marked=point.label == DEFAULT) for point in points]
    caption = f"{dataset}: accuracy on validation rows against {AXES[axis][1]}; the star is the default."
    wide = bool(points) and max(point.cost for point in points) > 10 * min(point.cost for point in points)
    return Figure(f"cost_{axis}", caption, "lines", AXES[axis][1], "NDCG@10, validation", series, x_log=wide)


def verdict(points: Mapping[str, Sequence[Point]]) -> str:
    """The cheaper setting that could be the default, as a sentence.

    Args:
        points: of each axis; the first of SAVING with a candidate names it.
    """
    saved = " or ".join(f"{share:.0%} fewer {AXES[axis][1]}" for axis, share in SAVING.items())
    rule = f"at least {saved}, at most {TOLERANCE:.1%} less NDCG@10 on validation rows"
    for axis, share in SAVING.items():
        best = candidate(points[axis], DEFAULT, share)
        if best is not None:
            own = next(point for point in points[axis] if point.label == DEFAULT)
            return (
                f"Candidate for the default: '{best.label}' ({rule}): {best.cost:.3g} instead of {own.cost:.3g} "
                f"{AXES[axis][1]}, NDCG@10 {best.accuracy:.4f} instead of {own.accuracy:.4f}. No test of significance "
                "is made: on few rows, ask again with more of them or more seeds."
            )
    return f"No setting of this table is a candidate for the default ({rule})."


def _notes(chosen: Sequence[Setting], costs: dict[str, Cost | None]) -> list[str]:
    notes = [f"{one.label}: {one.note} ({_keys(one.keys)})." for one in chosen if one.keys]
    known = [one for one in costs.values() if one is not None]
    if known:
        notes.append(
            f"Cost: the LLM's answers to the prompts of {known[0].users} validation users, on {known[0].threads} "
            f"thread{'s' * (known[0].threads > 1)}, median of {ROUNDS} rounds after one more; the model is loaded and "
            "the prompts are written. Peak: the whole process, with its libraries and what earlier settings left."
        )
        if all(one.joules is None for one in known):
            notes.append("Energy: this machine has no counter that can be read; CPU ms per user stand for it.")
        else:
            notes.append("Energy: RAPL counters of the packages, which count the whole machine.")
    notes.append(
        "Accuracy decides on validation rows, by which the lists' weights are chosen too, for every setting alike. "
        "Training: seconds of the LLM's fine-tuning; settings of beams are answered by the default's adapter."
    )
    return notes


def _keys(keys: Any) -> str:
    return ", ".join(f"{name}: {value}" for name, value in keys.items())
