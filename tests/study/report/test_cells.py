"""Formatted cells and marks."""

import pytest

from recbole_llmfashion.study.report import cells
from recbole_llmfashion.study.report.document import Column, ReportTable, TableRow, Value

FORMATTED = [
    (Value(0.12344, 0.00123), "metric", "0.1234 ± 0.0012"),
    (Value(0.5), "metric", "0.5000"),
    (0.00004, "metric", "0.0000"),
    (-0.00004, "metric", "0.0000"),
    ("n/a", "metric", "n/a"),
    (None, "metric", ""),
    (0.0312, "number", "0.0312"),
    (9.996, "number", "10.0"),
    (12.34, "number", "12.3"),
    (-1234.5, "number", "-1,230"),
    (1e-9, "number", "1.00e-09"),
    (2.5e12, "number", "2.50e+12"),
    (0, "number", "0"),
    (Value(12.34, 0.5), "number", "12.3 ± 0.500"),
    (1390000, "count", "1,390,000"),
    (12, "count", "12"),
    (0.12345, "share", "12.3%"),
    ("20 of 20\n", "text", "20 of 20"),
    (7, "text", "7"),
]


def test_cell_text():
    wrong = [row for row in FORMATTED if cells.cell_text(*row[:2]) != row[2]]
    assert wrong == []


def table(rows, columns=None):
    return ReportTable("t", "Test metrics", columns or [Column("n", "NDCG@10")], rows)


def marks(*rows: TableRow) -> list[str]:
    return [line.cells[0].mark for line in cells.lines(table(list(rows)))]


def test_means_are_compared_without_rounding():
    rows = [TableRow(str(n), {"n": Value(n, 0.9)}) for n in (0.20001, 0.20002, 0.1, 0.20001)]
    assert marks(*rows) == ["second", "best", "", "second"]
    assert marks(TableRow("a", {"n": 0.3}), TableRow("b", {"n": Value(0.3)})) == ["best", "best"]


def test_rows_that_are_not_ranked():
    rows = [
        TableRow("a", {"n": 0.9}, ranked=False),
        TableRow("b", {"n": 0.8}, reason="failed"),
        TableRow("c", {"n": 0.7}),
        TableRow("d", {}),
        TableRow("e", {"n": "0.99"}),
        TableRow("f", {"n": float("nan")}),
        TableRow("g", {"n": 0.1}),
    ]
    assert marks(*rows) == ["", "", "best", "", "", "", "second"]


@pytest.mark.parametrize("kind", ["number", "count", "share", "text"])
def test_only_metrics_are_marked(kind):
    line = cells.lines(table([TableRow("a", {"n": 1.0})], [Column("n", "n", kind)]))[0]
    assert line.cells[0].mark == ""
