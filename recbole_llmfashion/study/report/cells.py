"""A document's values as the words that every one of its files prints: cells, the best and the second, what made it.

Markdown, LaTeX and HTML differ in how they escape and mark; what stands in a cell is said here once. This module knows
none of the three.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from recbole_llmfashion.study.report.document import Cell, Column, Document, Kind, ReportTable, Value

Mark = Literal["", "best", "second"]
HASH_SHOWN = 16  # characters of a data set's sha256 below a table; results.json and report.html hold all 64


@dataclass(frozen=True)
class ShownCell:
    """A cell as a reader sees it."""

    text: str
    mark: Mark = ""


@dataclass(frozen=True)
class Line:
    """A row as a reader sees it: `cells` by column, all of them empty where there is a reason."""

    label: str
    cells: list[ShownCell]
    reason: str


def plain(text: str) -> str:
    """One line without control characters, whatever the text held."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def cell_text(cell: Cell, kind: Kind) -> str:
    """A cell in its column's kind (document.Column); `mean ± deviation` over seeds; a text stays as it is."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return plain(cell)
    shown = _NUMBER[kind]
    if isinstance(cell, Value):
        return shown(cell.mean) if cell.std is None else f"{shown(cell.mean)} ± {shown(cell.std)}"
    return shown(cell)


def lines(table: ReportTable) -> list[Line]:
    """The table's rows with their marks."""
    marks = {column.key: column_marks(table, column) for column in table.columns}
    return [
        Line(plain(row.label), [ShownCell("")] * len(table.columns), plain(row.reason))
        if row.reason
        else Line(
            plain(row.label),
            [ShownCell(cell_text(row.cells.get(c.key), c.kind), marks[c.key][position]) for c in table.columns],
            "",
        )
        for position, row in enumerate(table.rows)
    ]


def column_marks(table: ReportTable, column: Column) -> Sequence[Mark]:
    """By row: the largest mean of a metric column is best, the next smaller one second; equal means share a mark.

    Means are compared as they are, not as they are printed. Rows that are not ranked or have a reason take no part.
    """
    means = [
        _mean(row.cells.get(column.key)) if column.kind == "metric" and row.ranked and not row.reason else None
        for row in table.rows
    ]
    order = sorted({mean for mean in means if mean is not None}, reverse=True)
    names: dict[float | None, Mark] = dict(zip(order, ("best", "second"), strict=False))
    return [names.get(mean, "") for mean in means]


def provenance(document: Document) -> list[tuple[str, str]]:
    """What made the document: (data sha256, seeds, command, versions), the empty ones left out."""
    hashes = [f"{name} {str(data['sha256'])[:HASH_SHOWN]}" for name, data in document.data.items() if "sha256" in data]
    pairs = [
        ("data sha256", ", ".join(hashes)),
        ("seeds", ", ".join(map(str, document.seeds))),
        ("command", document.command),
        ("versions", ", ".join(f"{name} {version}" for name, version in document.versions.items())),
    ]
    return [(name, plain(value)) for name, value in pairs if value]


def significant(value: float) -> str:
    """Three significant digits, without an exponent as long as that stays readable."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    exponent = int(f"{value:.2e}".split("e")[1])
    if not -5 < exponent < 7:
        return f"{value:.2e}"
    return f"{float(f'{value:.2e}'):,.{max(0, 2 - exponent)}f}"


def _mean(cell: Cell) -> float | None:
    mean = cell.mean if isinstance(cell, Value) else cell
    return float(mean) if isinstance(mean, int | float) and math.isfinite(mean) else None


# z: a difference that rounds to nothing has no sign
_NUMBER: dict[Kind, Callable[[float], str]] = {
    "metric": lambda value: f"{value:z.4f}",
    "number": significant,
    "count": lambda value: f"{value:z,.0f}",
    "share": lambda value: f"{100 * value:z.1f}%",
    "text": str,
}
