"""The tables of a document in Markdown and in LaTeX.

All texts are escaped: none can end a cell, open a tag or start a LaTeX command.
"""

import re
from collections.abc import Sequence

from recbole_llmfashion.evaluation.markdown import markdown_table
from recbole_llmfashion.study.report.cells import Line, Mark, lines, plain, provenance
from recbole_llmfashion.study.report.document import Column, Document, ReportTable

_MARKDOWN_MARK: dict[Mark, tuple[str, str]] = {"": ("", ""), "best": ("**", "**"), "second": ("<u>", "</u>")}
_LATEX_MARK: dict[Mark, tuple[str, str]] = {"": ("", ""), "best": (r"\textbf{", "}"), "second": (r"\underline{", "}")}
# Characters that Markdown interprets; an underscore inside a word is not one of them.
_MARKDOWN_SIGN = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
_MARKDOWN_EDGE = re.compile(r"^[#+=>-]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|#(?=#*$)")
_LATEX_CHARACTER = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": "$-$",
    "→": r"$\rightarrow$",
}
_LATEX_TABLE = str.maketrans(_LATEX_CHARACTER)


def markdown(document: Document) -> str:
    """All tables in GitHub Markdown: best in bold, second underlined, notes below each, provenance at the end."""
    parts = [f"# {_block(document.title)}"]
    for table in document.tables:
        parts += [f"## {_block(table.title)}", _markdown_table(table)]
        if table.notes:
            parts.append(_markdown_list([_block(note) for note in table.notes]))
    origin = [
        f"{name}: {_code(value) if name == 'command' else _markdown(value)}" for name, value in provenance(document)
    ]
    parts += ["## Notes", _markdown_list([*map(_block, document.notes), *origin])]
    return "\n\n".join(parts) + "\n"


def latex(document: Document) -> str:
    r"""All tables as LaTeX floats, for \input in a document with \usepackage{booktabs}.

    Notes and provenance of the document are comments above the floats. Non-Latin scripts need XeLaTeX or LuaLaTeX and a
    suitable font.
    """
    head = [f"{document.title}; needs \\usepackage{{booktabs}}", *document.notes]
    head += [f"{name}: {value}" for name, value in provenance(document)]
    comments = "\n".join(f"% {plain(line)}" for line in head)
    return "\n\n".join([comments, *(_latex_table(document.study, table) for table in document.tables)]) + "\n"


def latex_text(text: str) -> str:
    r"""Escapes a text for LaTeX: no commands, no math, no ligature of two hyphens.

    Example:
        >>> print(latex_text("50 % of a_b"))
        50 \% of a\_b
    """
    return re.sub("-(?=-)", "-{}", plain(text).translate(_LATEX_TABLE))


def _markdown(text: str) -> str:
    escaped = _MARKDOWN_SIGN.sub(lambda match: f"\\{match[0]}", plain(text))
    return re.sub(r"&(?=#?\w+;)", "&amp;", escaped).replace("<", "&lt;")


def _block(text: str) -> str:
    """Escapes a text at the start of a line, where Markdown also interprets headings, lists and quotes."""
    return _MARKDOWN_EDGE.sub(lambda match: f"\\{match[0]}", _markdown(text))


def _code(text: str) -> str:
    """A code span, whose fence is longer than any run of backticks in the text."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    gap = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{gap}{text}{gap}{fence}"


def _markdown_list(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _markdown_table(table: ReportTable) -> str:
    titles = [table.label, *(column.title for column in table.columns)]
    rules = [" --- ", *(" --- " if column.kind == "text" else " ---: " for column in table.columns)]
    rows = []
    for line in lines(table):
        cells = ["{1}{0}{2}".format(_markdown(cell.text), *_MARKDOWN_MARK[cell.mark]) for cell in line.cells]
        if line.reason:
            cells[:1] = [_markdown(line.reason)]
        rows.append([_markdown(line.label), *cells])
    return "\n".join(markdown_table([_markdown(title) for title in titles], rows, rules))


def _latex_table(study: str, table: ReportTable) -> str:
    titles = [table.label, *(column.title for column in table.columns)]
    label = re.sub(r"[^A-Za-z0-9]+", "-", f"{study} {table.name}").strip("-")
    rows = [
        r"\begin{table}[t]",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{latex_text(table.title)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{l{_alignment(table.columns)}}}",
        r"\toprule",
        _latex_row([latex_text(title) for title in titles]),
        r"\midrule",
        *(_latex_line(line, len(table.columns)) for line in lines(table)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if table.notes:
        notes = "\n\n".join(map(latex_text, table.notes))
        rows += [r"\par\smallskip", rf"\begin{{minipage}}{{\linewidth}}\footnotesize {notes}\end{{minipage}}"]
    return "\n".join([*rows, r"\end{table}"])


def _alignment(columns: Sequence[Column]) -> str:
    return "".join("l" if column.kind == "text" else "r" for column in columns)


def _latex_line(line: Line, columns: int) -> str:
    if line.reason:
        box = rf"\parbox[t]{{{min(0.7, 0.12 * columns + 0.1):.2f}\linewidth}}"
        spanned = rf"\multicolumn{{{columns}}}{{l}}{{{box}{{\raggedright\footnotesize {latex_text(line.reason)}}}}}"
        return _latex_row([latex_text(line.label), spanned])
    cells = ["{1}{0}{2}".format(latex_text(cell.text), *_LATEX_MARK[cell.mark]) for cell in line.cells]
    return _latex_row([latex_text(line.label), *cells])


def _latex_row(cells: Sequence[str]) -> str:
    # \\ and \midrule look ahead: a row that begins with [ or * would be read as their argument
    return f"{'{}' if cells[0].startswith(('[', '*')) else ''}{' & '.join(cells)} \\\\"
