"""Tables in Markdown and LaTeX."""

import re

from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.study.report.document import Column, Document, ReportTable, TableRow, Value
from recbole_llmfashion.study.report.tables import latex, latex_text, markdown
from tests.helpers.documents import FAILED, HOSTILE, sample


def document(*tables: ReportTable, **fields) -> Document:
    base = {"study": "compare", "title": "T", "dataset": "d", "data": {"d": {"sha256": "ab" * 32}}, "seeds": [5, 6]}
    return Document(**{**base, "command": "run --x=1", "versions": {"torch": "2.15"}, "tables": list(tables), **fields})


def table(rows, columns=None, **fields) -> ReportTable:
    return ReportTable("t", "Test metrics", columns or [Column("n", "NDCG@10")], rows, **fields)


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


# all escapes that latex_text writes; the remaining characters must be plain
WRITTEN = re.compile(r"\\[&%$#_{}]|\\text[a-z]+\{\}|-\{\}(?=-)|\$(-|\\(pm|times|leq|geq|rightarrow))\$")
HARD = st.text(st.one_of(st.sampled_from("\\&%$#_{}~^<>|`-±×≤\n\r\0[]*\u2028\x85"), st.characters()), max_size=40)


@given(HARD)
def test_texts_cannot_contain_latex(text):
    escaped = latex_text(text)
    assert not set(WRITTEN.sub("", escaped)) & set("\\&%$#_{}~^<>|`") and "--" not in escaped
    assert len(escaped.splitlines()) <= 1


@given(HARD)
def test_texts_cannot_change_the_table(text):
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


def test_sample():
    made = sample()
    assert HOSTILE not in markdown(made) and "<script>" not in markdown(made)
    assert "`` recbole-llmfashion study" in markdown(made)  # the command contains a backtick
    row = next(line for line in markdown(made).splitlines() if line.startswith("| BERT4Rec"))
    assert row.split(" | ")[1] == FAILED.replace("<", "&lt;") and row.count("|") == 9
    assert r"\end{tabular}" in HOSTILE and latex(made).count("\\end{tabular}\n") == 2
    assert "| QueryMemory | **0.1412 ± 0.0012** |" in markdown(made)
    assert r"SeqKNN & \underline{0.1312 $\pm$ 0.0012} &" in latex(made)
