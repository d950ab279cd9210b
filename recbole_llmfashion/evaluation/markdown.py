"""Markdown tables, as results, searches and reports write them."""

from collections.abc import Iterable, Sequence


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]], rules: Sequence[str] = ()) -> list[str]:
    """The lines of a table; cells must already be Markdown.

    Args:
        titles: titles of the columns.
        rows: one sequence of cells per row.
        rules: text below each title, which sets the alignment; left-aligned by default.

    >>> markdown_table(["model", "ndcg@10"], [["CORE", "0.1"]], ["---", "---:"])
    ['| model | ndcg@10 |', '|---|---:|', '| CORE | 0.1 |']
    """
    rule = f"|{'|'.join(rules or ['---'] * len(titles))}|"
    return [_line(titles), rule, *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
