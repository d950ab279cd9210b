"""The outcome of a study as one JSON-like value, stored as results.json.

table.md, table.tex, the figures and report.html are computed from this value only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["metric", "number", "p", "count", "share", "text"]

METRIC_TITLES = {"recall@10": "Recall@10", "ndcg@10": "NDCG@10", "mrr@10": "MRR@10", "mrr": "MRR"}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        key: key of the column in TableRow.cells.
        title: heading.
        kind: metric: four decimals, best value bold and second underlined; number: three significant digits; p: a
            p-value; count: an integer; share: per cent with one decimal; text: unchanged.
    """

    key: str
    title: str
    kind: Kind = "metric"


@dataclass(frozen=True)
class Value:
    """Mean and standard deviation (n - 1) over seeds; no deviation for a single seed."""

    mean: float
    std: float | None = None


Cell = Value | float | int | str | None


@dataclass
class TableRow:
    """A row of a table.

    Args:
        label: the first cell.
        cells: values by Column.key; a missing one is an empty cell.
        ranked: whether the row is considered for best and second.
        reason: why there are no values; shown instead of the cells.
    """

    label: str
    cells: dict[str, Cell] = field(default_factory=dict)
    ranked: bool = True
    reason: str = ""


@dataclass
class ReportTable:
    """A table of a study.

    Args:
        name: identifier, used in anchors and LaTeX labels.
        title: heading.
        columns: the columns after the label.
        rows: the rows.
        notes: notes below the table.
        label: heading of the first column.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: list[TableRow]
    notes: list[str] = field(default_factory=list)
    label: str = "model"


@dataclass(frozen=True)
class Series:
    """One line, or one set of bars, of a figure: y over x, with optional intervals; `marked` points are stars."""

    label: str
    x: Sequence[float | str]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    marked: bool = False


@dataclass
class Figure:
    """A figure of a study, drawn by figures.py into <name>.png.

    Args:
        name: file name without suffix.
        caption: text below the figure.
        kind: lines: numeric x; bars: each x is a group with one bar per series; heat: series are rows, x columns.
        x_label: label of the x axis.
        y_label: label of the y axis.
        series: the data.
        x_log: whether the x axis is logarithmic.
    """

    name: str
    caption: str
    kind: Literal["lines", "bars", "heat"]
    x_label: str
    y_label: str
    series: list[Series]
    x_log: bool = False


@dataclass(frozen=True)
class ItemPicture:
    """A picture of an item.

    Args:
        item: its id.
        title: its title.
        data: data URI of a JPEG.
    """

    item: str
    title: str
    data: str


@dataclass
class Document:
    """The complete outcome of a study.

    Args:
        study: name of the command.
        title: one line.
        dataset: name of the dataset, or names joined by commas.
        data: hash and counts by dataset.
        seeds: random seeds.
        command: the command line.
        versions: package versions.
        protocol: how the metrics count: what a hit is, what is ranked, whether histories are masked, the split.
        settings: keys that differ from properties/.
        tables: the tables.
        figures: the figures.
        models: by row label, one `model_entry` per seed.
        notes: notes below all tables.
        commit: of the checkout that made a page of docs/results; empty elsewhere.
        pictures: of the items with most actions, where the dataset has pictures.
    """

    study: str
    title: str
    dataset: str
    data: dict[str, dict[str, Any]]
    seeds: list[int]
    command: str
    versions: dict[str, str]
    protocol: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    tables: list[ReportTable] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    models: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    commit: str = ""
    pictures: list[ItemPicture] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The content of results.json; without pictures there is no entry for them."""
        return {name: value for name, value in asdict(self).items() if name != "pictures" or value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Document":
        """Inverse of `as_json`."""
        fields = dict(value)
        fields["pictures"] = [ItemPicture(**picture) for picture in value.get("pictures", ())]
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
