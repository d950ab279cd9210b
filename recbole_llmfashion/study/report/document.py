"""A study's outcome as one JSON-like value, and the files made from it.

results.json is that value; table.md, table.tex, the figures and report.html are functions of it alone, so none of them
can say anything that results.json does not. This module runs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["metric", "number", "count", "share", "text"]

METRIC_TITLES = {"recall@10": "Recall@10", "ndcg@10": "NDCG@10", "mrr@10": "MRR@10", "mrr": "MRR"}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        key: under which a row holds its value.
        title: what stands above it.
        kind: metric: four decimals, the best in bold and the second underlined; number: three significant digits;
            count: an integer; share: in per cent with one decimal; text: as it is.
    """

    key: str
    title: str
    kind: Kind = "metric"


@dataclass(frozen=True)
class Value:
    """Mean and standard deviation (n - 1) over seeds; no deviation where there is one."""

    mean: float
    std: float | None = None


Cell = Value | float | int | str | None


@dataclass
class TableRow:
    """A line.

    Args:
        label: the first cell.
        cells: by Column.key; an absent one stays empty.
        ranked: whether its metrics take part in best and second.
        reason: why there is nothing to show; stands in place of the cells.
    """

    label: str
    cells: dict[str, Cell] = field(default_factory=dict)
    ranked: bool = True
    reason: str = ""


@dataclass
class ReportTable:
    """A table of a study; `name` is a file-like word, `title` what a reader sees."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: list[TableRow]
    notes: list[str] = field(default_factory=list)
    label: str = "model"


@dataclass(frozen=True)
class Series:
    """One line or one group of bars of a figure: y over x, with an interval where there is one."""

    label: str
    x: Sequence[float | str]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


@dataclass
class Figure:
    """A figure of a study, drawn by figures.py into <name>.png.

    Args:
        kind: lines: numeric x; bars: each x is a group, each series one bar in it; heat: series are rows, x columns.
        x_log: whether a numeric x is drawn on a logarithmic axis.
    """

    name: str
    caption: str
    kind: Literal["lines", "bars", "heat"]
    x_label: str
    y_label: str
    series: list[Series]
    x_log: bool = False


@dataclass
class Document:
    """Everything a study has to say.

    Args:
        study: its command's name.
        title: one line.
        dataset: name, or names joined by commas.
        data: by dataset: sha256 and the counts a reader wants.
        seeds, command, versions: what made it.
        settings: keys that differ from properties/, and which rows were tuned.
        models: by row label, one results.model_entry a seed.
        notes: below all tables.
    """

    study: str
    title: str
    dataset: str
    data: dict[str, dict[str, Any]]
    seeds: list[int]
    command: str
    versions: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    tables: list[ReportTable] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    models: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """What results.json holds."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Document":
        """The document that `as_json` gave."""
        fields = dict(value)
        fields["tables"] = [_table(table) for table in value["tables"]]
        fields["figures"] = [
            Figure(**{**figure, "series": [Series(**series) for series in figure["series"]]})
            for figure in value["figures"]
        ]
        return cls(**fields)


def _table(value: Mapping[str, Any]) -> ReportTable:
    rows = [
        TableRow(**{**row, "cells": {key: _cell(cell) for key, cell in row["cells"].items()}}) for row in value["rows"]
    ]
    return ReportTable(**{**value, "columns": [Column(**column) for column in value["columns"]], "rows": rows})


def _cell(value: Any) -> Cell:
    return Value(**value) if isinstance(value, Mapping) else value
