"""Formats the values of a document: cell texts, marks of the best and second value, provenance.

Markdown, LaTeX and HTML output share these texts; they differ only in escaping and markup.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from recbole_llmfashion.study.report.document import Cell, Column, Document, Kind, ReportTable, Value

Mark = Literal["", "best", "second"]
HASH_SHOWN = 16  # characters of a dataset's sha256 below a table; results.json and report.html show all 64


@dataclass(frozen=True)
class ShownCell:
    """A formatted cell."""

    text: str
    mark: Mark = ""


@dataclass(frozen=True)
class Line:
    """A formatted row; all cells are empty if there is a reason."""

    label: str
    cells: list[ShownCell]
    reason: str


def plain(text: str) -> str:
    """The text as one line, without control characters.

    Example:
        >>> plain(" a\\nb\\x00 ")
        'a b'
    """
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def cell_text(cell: Cell, kind: Kind) -> str:
    """Formats a cell by the kind of its column, see document.Column.

    Example:
        >>> cell_text(Value(0.12344, 0.00123), "metric")
        '0.1234 ± 0.0012'
        >>> cell_text(0.5, "share")
        '50.0%'
    """
    if cell is None:
        return ""
    if isinstance(cell, str):
        return plain(cell)
    number = _NUMBER[kind]
    if isinstance(cell, Value):
        return number(cell.mean) if cell.std is None else f"{number(cell.mean)} ± {number(cell.std)}"
    return number(cell)


def lines(table: ReportTable) -> list[Line]:
    """The formatted rows of a table, with marks."""
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
    """The mark of each row in a column.

    In a metric column the largest mean is "best" and the next smaller one "second"; equal means share a mark. Means are
    compared without rounding. Rows that are not ranked or have a reason are ignored.
    """
    means = [
        _mean(row.cells.get(column.key)) if column.kind == "metric" and row.ranked and not row.reason else None
        for row in table.rows
    ]
    order = sorted({mean for mean in means if mean is not None}, reverse=True)
    names: dict[float | None, Mark] = dict(zip(order, ("best", "second"), strict=False))
    return [names.get(mean, "") for mean in means]


def provenance(document: Document) -> list[tuple[str, str]]:
    """Name and text of data sha256, seeds, command and versions; empty ones are left out."""
    hashes = [f"{name} {str(data['sha256'])[:HASH_SHOWN]}" for name, data in document.data.items() if "sha256" in data]
    pairs = [
        ("data sha256", ", ".join(hashes)),
        ("seeds", ", ".join(map(str, document.seeds))),
        ("command", document.command),
        ("commit", document.commit),
        ("versions", ", ".join(f"{name} {version}" for name, version in document.versions.items())),
    ]
    return [(name, plain(value)) for name, value in pairs if value]


def significant(value: float) -> str:
    """Three significant digits, with an exponent only for very small or large numbers.

    Example:
        >>> significant(1234.5), significant(0.0312), significant(1e-9)
        ('1,230', '0.0312', '1.00e-09')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    exponent = int(f"{value:.2e}".split("e")[1])
    if not -5 < exponent < 7:
        return f"{value:.2e}"
    return f"{float(f'{value:.2e}'):,.{max(0, 2 - exponent)}f}"


def p_value(value: float) -> str:
    """A p-value with four decimals, which are those of a randomization test with 9,999 patterns.

    Example:
        >>> p_value(0.03119), p_value(1e-9)
        ('0.0312', '< 0.0001')
    """
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def _mean(cell: Cell) -> float | None:
    mean = cell.mean if isinstance(cell, Value) else cell
    return float(mean) if isinstance(mean, int | float) and math.isfinite(mean) else None


# z: a number that rounds to zero has no sign
_NUMBER: dict[Kind, Callable[[float], str]] = {
    "metric": lambda value: f"{value:z.4f}",
    "number": significant,
    "p": p_value,
    "count": lambda value: f"{value:z,.0f}",
    "share": lambda value: f"{100 * value:z.1f}%",
    "text": str,
}
