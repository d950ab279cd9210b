"""Additional tables of report.html: data, settings, generated responses, time, and rows without numbers.

They are built from the entries of `model_entry` and from Document; missing entries are left out.
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

LIST_METRIC = "ndcg@10"  # metric of each single list, and of mixup_m on validation
LONGEST = 160  # maximum characters of a list or mapping
REUSED = "†"
# Validity figures of docs/method.md with title and kind; other figures are in a separate table.
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
    "prompts_with_shortened_texts": ("prompts with shortened texts", "count"),
    "quantized_layers": ("quantized layers", "count"),
    "clip": ("CLIP", "text"),
    "memory_encoder": ("sentence encoder", "text"),
    "title_pairs": ("title pairs", "text"),
}
_LISTS: dict[str, tuple[str, Kind]] = {"id": ("ID list", "metric"), "title": ("title list", "metric")}
Cells = Mapping[str, Cell]


def data(document: Document) -> list[ReportTable]:
    """The datasets, one per column."""
    facts = {name: dict(_flat(values)) for name, values in document.data.items()}
    keys = list(dict.fromkeys(key for values in facts.values() for key in values))
    columns = [Column(name, name, "text") for name in facts]
    rows = [TableRow(key, {name: values.get(key) for name, values in facts.items()}) for key in keys]
    return [ReportTable("data", "Input data", columns, rows, label="")] if rows else []


def settings(document: Document) -> list[ReportTable]:
    """Keys that differ from properties/."""
    rows = [TableRow(key, {"value": value}) for key, value in _flat(document.settings)]
    title = "Keys that differ from properties/"
    return [ReportTable("settings", title, [Column("value", "value", "text")], rows, label="key")] if rows else []


def answers(document: Document) -> list[ReportTable]:
    """Validity of the generated responses, other measurements, metrics of each single list, mixups on validation."""

    def validity(entry: Mapping[str, Any]) -> Cells:
        return {key: value for key, value in entry.get("generation", {}).items() if key in _ANSWERS}

    def measured(entry: Mapping[str, Any]) -> Cells:
        others = {key: value for key, value in entry.get("generation", {}).items() if key not in _ANSWERS}
        return dict(_flat(others))

    def lists(entry: Mapping[str, Any]) -> Cells:
        return {name: metrics.get(LIST_METRIC) for name, metrics in entry.get("lists", {}).items()}

    def mixup(entry: Mapping[str, Any]) -> Cells:
        return {f"m = {m}": metrics.get(LIST_METRIC) for m, metrics in entry.get("mixup_validation", {}).items()}

    return [
        *_of_models(document, "answers", "Generated responses, shares of all test rows", validity, _ANSWERS),
        *_of_models(document, "measured", "Measurements of the stages", measured, {}),
        *_of_models(document, "lists", "Each list by itself, NDCG@10 on the test rows", lists, _LISTS, "metric"),
        *_of_models(
            document, "mixup", "mixup_m and mixup_title_start, NDCG@10 on the validation rows", mixup, {}, "metric"
        ),
    ]


def time(document: Document) -> list[ReportTable]:
    """Seconds by stage and peak memory; the stages train_* share a column, since a row trains one such model."""

    def spent(entry: Mapping[str, Any]) -> Cells:
        seconds: dict[str, float] = {}
        computed: set[str] = set()
        for stage, value in entry.get("seconds", {}).items():
            name = "train" if stage.startswith("train_") else stage
            seconds[name] = seconds.get(name, 0.0) + value
            if stage not in entry.get("stages_reused", []):
                computed.add(name)
        total = {"total": seconds.pop("total")} if "total" in seconds else {}
        cells: dict[str, Cell] = {
            name: significant(value) + ("" if name in computed else f" {REUSED}") for name, value in seconds.items()
        }
        memory = {"peak_memory_mb": f"{entry['peak_memory_mb']:,.0f}"} if "peak_memory_mb" in entry else {}
        return cells | {name: significant(value) for name, value in total.items()} | memory

    last: dict[str, tuple[str, Kind]] = {"total": ("this run", "number"), "peak_memory_mb": ("peak MB", "count")}
    note = (
        f"{REUSED}: a reused stage; its seconds were measured when it was computed and are not part of 'this run'. "
        "train: training of a RecBole model; for a row with an ID list this is its `session_model`."
    )
    tables = _of_models(document, "time", "Seconds by stage, and peak memory", spent, last, "number")
    return [replace(table, columns=_last(table.columns, last), notes=[note]) for table in tables]


def absent(document: Document) -> list[ReportTable]:
    """Rows without numbers: each reason once, with the tables or the seed where it occurs."""
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
    rows = [TableRow(label, {"reason": why, "where": "; ".join(where)}) for (label, why), where in places.items()]
    return [ReportTable("absent", "Failed or not applicable", columns, rows, label="row")] if rows else []


def numbers(figure: Figure) -> ReportTable:
    """The values of a figure as a table; the longer of series and x becomes the rows."""
    points = _points(figure)
    labels = list(dict.fromkeys(series.label for series in figure.series))
    xs = list(dict.fromkeys(str(x) for series in figure.series for x in series.x))
    if len(labels) >= len(xs):
        rows = [TableRow(label, {x: points.get((label, x)) for x in xs}) for label in labels]
        names, heading = xs, ""
    else:
        rows = [TableRow(x, {label: points.get((label, x)) for label in labels}) for x in xs]
        names, heading = labels, figure.x_label
    columns = [Column(name, name or figure.y_label, "number") for name in names]
    return ReportTable(figure.name, figure.y_label, columns, rows, label=heading)


def _points(figure: Figure) -> dict[tuple[str, str], str]:
    """Formatted values by (label of the series, x)."""
    return {
        (series.label, str(x)): _point(y, _at(series.low, i), _at(series.high, i))
        for series in figure.series
        for i, (x, y) in enumerate(zip(series.x, series.y, strict=True))
    }


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
    """A table with one row per model and seed that has any of the cells.

    Columns of `known` come first, with title and kind from there; other keys are their own title.
    """
    labelled = [(f"{label}, seed {seed}", dict(cells(entry))) for label, seed, entry in _entries(document)]
    rows = [TableRow(label, values, ranked=False) for label, values in labelled if values]
    keys = list(dict.fromkeys(key for row in rows for key in row.cells))
    columns = [Column(key, *known[key]) for key in known if key in keys]
    columns += [Column(key, key, kind) for key in keys if key not in known]
    return [ReportTable(name, title, columns, rows, label="row")] if rows else []


def _last(columns: Sequence[Column], keys: Container[str]) -> list[Column]:
    return sorted(columns, key=lambda column: column.key in keys)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flattens nested mappings to (joined key, formatted value)."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", _format(value)


def _format(value: Any) -> str:
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
