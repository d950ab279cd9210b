import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.study.report import cells
from recbole_llmfashion.study.report.document import Column, Document, ReportTable, TableRow, Value
from recbole_llmfashion.study.report.tables import latex, latex_text, markdown
from tests.helpers.documents import FAILED, HOSTILE, sample


def document(*tables: ReportTable, **fields) -> Document:
    base = {"study": "compare", "title": "T", "dataset": "d", "data": {"d": {"sha256": "ab" * 32}}, "seeds": [5, 6]}
    return Document(**{**base, "command": "run --x=1", "versions": {"torch": "2.15"}, "tables": list(tables), **fields})


def table(rows, columns=None, **fields) -> ReportTable:
    return ReportTable("t", "Test metrics", columns or [Column("n", "NDCG@10")], rows, **fields)


@pytest.mark.parametrize(
    ("cell", "kind", "shown"),
    [
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
    ],
)
def test_a_cell_in_its_kind(cell, kind, shown):
    assert cells.cell_text(cell, kind) == shown


def marks(*rows: TableRow) -> list[str]:
    return [line.cells[0].mark for line in cells.lines(table(list(rows)))]


def test_best_and_second_are_of_the_means_as_they_are():
    rows = [TableRow(str(n), {"n": Value(n, 0.9)}) for n in (0.20001, 0.20002, 0.1, 0.20001)]
    assert marks(*rows) == ["second", "best", "", "second"]
    assert marks(TableRow("a", {"n": 0.3}), TableRow("b", {"n": Value(0.3)})) == ["best", "best"]


def test_rows_that_take_no_part():
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


def test_markdown_by_hand():
    columns = [Column("n", "NDCG@10"), Column("e", "epochs", "text")]
    rows = [
        TableRow("CORE", {"n": Value(0.2, 0.01), "e": "3 of 20"}),
        TableRow("SASRec", {"n": Value(0.3)}),
        TableRow("GRU4Rec", {"n": 0.4}, reason="ValueError: a|b"),
    ]
    text = markdown(document(table(rows, columns, notes=["# read this"]), notes=["1. first", "_own_ mixup_m"]))
    assert text.splitlines() == [
        "# T",
        "",
        "## Test metrics",
        "",
        "| model | NDCG@10 | epochs |",
        "| --- | ---: | --- |",
        "| CORE | <u>0.2000 ± 0.0100</u> | 3 of 20 |",
        "| SASRec | **0.3000** |  |",
        r"| GRU4Rec | ValueError: a\|b |  |",
        "",
        r"- \# read this",
        "",
        "## Notes",
        "",
        r"- 1\. first",
        r"- \_own\_ mixup_m",
        "- data sha256: d abababababababab",
        "- seeds: 5, 6",
        "- command: `run --x=1`",
        "- versions: torch 2.15",
    ]


def test_latex_by_hand():
    columns = [Column("n", "NDCG@10"), Column("s", "of ours", "share")]
    rows = [
        TableRow("CORE", {"n": Value(0.2, 0.01), "s": 0.5}),
        TableRow("[SASRec]", {"n": Value(0.3)}),
        TableRow("GRU_4", {}, reason="a & b"),
    ]
    text = latex(document(table(rows, columns, notes=["100%"])))
    assert text.splitlines()[-16:] == [
        r"\begin{table}[t]",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        r"\caption{Test metrics}",
        r"\label{tab:compare-t}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"model & NDCG@10 & of ours \\",
        r"\midrule",
        r"CORE & \underline{0.2000 $\pm$ 0.0100} & 50.0\% \\",
        r"{}[SASRec] & \textbf{0.3000} &  \\",
        r"GRU\_4 & \multicolumn{2}{l}{\parbox[t]{0.34\linewidth}{\raggedright\footnotesize a \& b}} \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize 100\%\end{minipage}",
        r"\end{table}",
    ]
    assert "% seeds: 5, 6\n" in text and "% command: run --x=1\n" in text


# every way in which latex_text writes a sign; what is left after them must be plain
WRITTEN = re.compile(r"\\[&%$#_{}]|\\text[a-z]+\{\}|-\{\}(?=-)|\$(-|\\(pm|times|leq|geq|rightarrow))\$")
HARD = st.text(st.one_of(st.sampled_from("\\&%$#_{}~^<>|`-±×≤\n\r\0[]*\u2028\x85"), st.characters()), max_size=40)


@given(HARD)
def test_no_label_reaches_latex(text):
    made = latex_text(text)
    assert not set(WRITTEN.sub("", made)) & set("\\&%$#_{}~^<>|`") and "--" not in made
    assert len(made.splitlines()) <= 1


@given(HARD)
def test_no_label_changes_the_shape_of_a_table(text):
    rows = [TableRow(text, {"n": 0.5, "e": text}), TableRow("b", reason=f"x{text}")]
    made = document(table(rows, [Column("n", "N"), Column("e", text, "text")], notes=[text], label=text), notes=[text])
    lines = [line for line in markdown(made).splitlines() if line.startswith("|")]
    assert [len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines] == [5, 5, 5, 5]
    assert not re.search(r"<(?!/?u>)", markdown(made).split("- command")[0])
    body = latex(made).split(r"\toprule")[1].split(r"\bottomrule")[0]
    ends = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(ends) == 3 and not any(line.startswith(("[", "*")) for line in ends)
    assert [len(re.findall(r"(?<!\\)&", line)) for line in ends] == [2, 2, 1]
    assert all(line.startswith("%") for line in latex(made).split("\n\n")[0].splitlines())


def test_the_sample_in_both():
    made = sample()
    assert HOSTILE not in markdown(made) and "<script>" not in markdown(made)
    assert "`` recbole-llmfashion study" in markdown(made)  # the command holds a backtick itself
    row = next(line for line in markdown(made).splitlines() if line.startswith("| BERT4Rec"))
    assert row.split(" | ")[1] == FAILED.replace("<", "&lt;") and row.count("|") == 9
    assert r"\end{tabular}" in HOSTILE and latex(made).count("\\end{tabular}\n") == 2
    assert "| QueryMemory | **0.1412 ± 0.0012** |" in markdown(made)
    assert r"SeqKNN & \underline{0.1312 $\pm$ 0.0012} &" in latex(made)
