"""What report.html tells beside a study's own tables, as tables of the same kind: data, settings, answers, time, gaps.

Reads what results.model_entry and Document say, by name, and leaves out what is not there. Knows no HTML.
"""

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from recbole_llmfashion.study.report.cells import plain, significant
from recbole_llmfashion.study.report.document import (
    Cell,
    Column,
    Document,
    Figure,
    Kind,
    ReportTable,
    TableRow,
)

LIST_METRIC = "ndcg@10"  # of each list alone, and of mixup_m on validation
LONGEST = 160  # characters of a value that has a structure of its own
REUSED = "†"
# What docs/method.md asks of each row with an LLM, under its name; whatever else there is has a table of its own.
_ANSWERS: dict[str, tuple[str, Kind]] = {
    "format_rate": ("well-formed", "share"),
    "valid_id_rate": ("IDs that exist", "share"),
    "in_prompt_rate": ("IDs in the prompt", "share"),
    "fallback_rate": ("any fallback", "share"),
    "no_id_list_rate": ("no ID list", "share"),
    "no_title_list_rate": ("no title list", "share"),
    "memory_list_rate": ("list from memory", "share"),
    "popularity_list_rate": ("list by popularity", "share"),
    "prompts_truncated": ("prompts truncated", "count"),
    "quantized_layers": ("quantized layers", "count"),
    "clip": ("CLIP", "text"),
    "title_pairs": ("title pairs", "text"),
}
_LISTS: dict[str, tuple[str, Kind]] = {"id": ("ID list", "metric"), "title": ("title list", "metric")}
Cells = Mapping[str, Cell]


def data(document: Document) -> list[ReportTable]:
    """What was read, a column a dataset."""
    found = {name: dict(_flat(values)) for name, values in document.data.items()}
    keys = list(dict.fromkeys(key for values in found.values() for key in values))
    columns = [Column(name, name, "text") for name in found]
    rows = [TableRow(key, {name: values.get(key) for name, values in found.items()}) for key in keys]
    return [ReportTable("data", "What was read", columns, rows, label="")] if rows else []


def settings(document: Document) -> list[ReportTable]:
    """Keys that differ from properties/."""
    rows = [TableRow(key, {"value": value}) for key, value in _flat(document.settings)]
    title = "What differs from properties/"
    return [ReportTable("settings", title, [Column("value", "value", "text")], rows, label="key")] if rows else []


def answers(document: Document) -> list[ReportTable]:
    """The generated answers' validity, what else the stages measured, each list alone, mixup_m on validation."""

    def validity(entry: Mapping[str, Any]) -> Cells:
        return {key: value for key, value in entry.get("generation", {}).items() if key in _ANSWERS}

    def measured(entry: Mapping[str, Any]) -> Cells:
        others = {key: value for key, value in entry.get("generation", {}).items() if key not in _ANSWERS}
        return dict(_flat(others))

    def lists(entry: Mapping[str, Any]) -> Cells:
        return {name: found.get(LIST_METRIC) for name, found in entry.get("lists", {}).items()}

    def mixup(entry: Mapping[str, Any]) -> Cells:
        return {f"m = {m}": found.get(LIST_METRIC) for m, found in entry.get("mixup_validation", {}).items()}

    return [
        *_of_models(document, "answers", "Generated answers, shares of all test rows", validity, _ANSWERS),
        *_of_models(document, "measured", "What the stages measured", measured, {}),
        *_of_models(document, "lists", "Each list alone, NDCG@10 on the test rows", lists, _LISTS, "metric"),
        *_of_models(document, "mixup", "mixup_m, NDCG@10 on the validation rows", mixup, {}, "metric"),
    ]


def time(document: Document) -> list[ReportTable]:
    """Seconds by stage and peak memory; the stages train_* share a column, for a row has one model to train."""

    def spent(entry: Mapping[str, Any]) -> Cells:
        seconds: dict[str, float] = {}
        made: set[str] = set()
        for stage, value in entry.get("seconds", {}).items():
            name = "train" if stage.startswith("train_") else stage
            seconds[name] = seconds.get(name, 0.0) + value
            if stage not in entry.get("stages_reused", []):
                made.add(name)
        total = {"total": seconds.pop("total")} if "total" in seconds else {}
        cells: dict[str, Cell] = {
            name: significant(value) + ("" if name in made else f" {REUSED}") for name, value in seconds.items()
        }
        memory = {"peak_memory_mb": f"{entry['peak_memory_mb']:,.0f}"} if "peak_memory_mb" in entry else {}
        return cells | {name: significant(value) for name, value in total.items()} | memory

    last: dict[str, tuple[str, Kind]] = {"total": ("this run", "number"), "peak_memory_mb": ("peak MB", "count")}
    note = (
        f"{REUSED}: the stage was there already; its seconds are those it took when it was made, and are not in "
        "'this run'. train: the training of a RecBole model, which for a row with an ID list is CORE."
    )
    found = _of_models(document, "time", "Seconds by stage, and peak memory", spent, last, "number")
    return [replace(table, columns=_last(table.columns, last), notes=[note]) for table in found]


def absent(document: Document) -> list[ReportTable]:
    """Rows without numbers, each reason once, with the tables or the seed it belongs to."""
    places: dict[tuple[str, str], list[str]] = {}
    for table in document.tables:
        for row in table.rows:
            if row.reason:
                places.setdefault((row.label, row.reason), []).append(table.title)
    for label, seed, entry in _entries(document):
        reason = str(entry.get("status", "ok")).removeprefix("failed: ")
        if reason != "ok" and not any(name == label and reason in why for name, why in places):
            places[label, reason] = [f"seed {seed}"]
    columns = [Column("reason", "reason", "text"), Column("where", "where", "text")]
    rows = [TableRow(label, {"reason": why, "where": "; ".join(at)}) for (label, why), at in places.items()]
    return [ReportTable("absent", "What failed or does not apply", columns, rows, label="row")] if rows else []


def numbers(figure: Figure) -> ReportTable:
    """What a figure shows, the longer of its two sides downwards."""
    points = {
        (series.label, str(x)): _point(y, _at(series.low, i), _at(series.high, i))
        for series in figure.series
        for i, (x, y) in enumerate(zip(series.x, series.y, strict=True))
    }
    labels = list(dict.fromkeys(series.label for series in figure.series))
    xs = list(dict.fromkeys(str(x) for series in figure.series for x in series.x))
    down, across = (labels, xs) if len(labels) >= len(xs) else (xs, labels)
    rows = [
        TableRow(one, {two: points.get((one, two) if down is labels else (two, one)) for two in across}) for one in down
    ]
    columns = [Column(name, name or figure.y_label, "number") for name in across]
    return ReportTable(figure.name, figure.y_label, columns, rows, label="" if down is labels else figure.x_label)


def _point(y: float | None, low: float | None, high: float | None) -> str:
    if y is None:
        return ""
    return _number(y) if low is None or high is None else f"{_number(y)} ({_number(low)} to {_number(high)})"


def _at(values: Sequence[float | None] | None, position: int) -> float | None:
    return None if values is None else values[position]


def _number(value: float) -> str:
    return f"{value:z.4f}" if abs(value) <= 1 else significant(value)


def _entries(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for label, entries in document.models.items():
        for i, entry in enumerate(entries):
            seed = entry.get("seed", document.seeds[i] if i < len(document.seeds) else i)
            yield label, str(seed), entry


def _of_models(
    document: Document,
    name: str,
    title: str,
    cells: Callable[[Mapping[str, Any]], Cells],
    known: Mapping[str, tuple[str, Kind]],
    kind: Kind = "text",
) -> list[ReportTable]:
    """A row a model and seed that has any of the cells; `known` keys come first, the others are their own title."""
    found = [(f"{label}, seed {seed}", dict(cells(entry))) for label, seed, entry in _entries(document)]
    rows = [TableRow(label, values, ranked=False) for label, values in found if values]
    keys = list(dict.fromkeys(key for row in rows for key in row.cells))
    columns = [Column(key, *known[key]) for key in known if key in keys]
    columns += [Column(key, key, kind) for key in keys if key not in known]
    return [ReportTable(name, title, columns, rows, label="row")] if rows else []


def _last(columns: Sequence[Column], keys: Container[str]) -> list[Column]:
    return sorted(columns, key=lambda column: column.key in keys)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested keys in one line each, values as a reader wants them."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", _word(value)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return plain(value)
    text = plain(", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
