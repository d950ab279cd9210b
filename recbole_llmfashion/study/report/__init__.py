"""Tables, figures and the HTML report of a study."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.study.report.document import Column, Document, Figure, ReportTable, Series, TableRow, Value
else:
    __getattr__ = lazy_names(__name__, {"document": "Column Document Figure ReportTable Series TableRow Value"})

__all__ = ["Column", "Document", "Figure", "ReportTable", "Series", "TableRow", "Value"]
