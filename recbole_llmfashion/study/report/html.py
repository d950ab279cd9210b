"""report.html: a document as one self-contained page, rendered from report.html.j2 with autoescape."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recbole_llmfashion.errors import needs_extra
from recbole_llmfashion.study.report import sections
from recbole_llmfashion.study.report.cells import lines, provenance
from recbole_llmfashion.study.report.document import Document, Figure, ReportTable

with needs_extra("study"):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATE = "report.html.j2"
# a changed results.json must not make the page load anything else
_SHOWN = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]+=*")
MARKS = "Bold: best of the column; underlined: second best; equal means share a mark. ±: standard deviation over seeds."


@dataclass(frozen=True)
class Picture:
    """A figure for the template: PNG in base64, size in CSS pixels, and its values as a table."""

    caption: str
    alt: str
    data: str
    width: int
    height: int
    numbers: ReportTable


@dataclass(frozen=True)
class Section:
    """A section of the page: anchor, heading and tables; a section without tables is not rendered."""

    anchor: str
    title: str
    tables: list[ReportTable]
    lead: str = ""


def page(document: Document, images: Mapping[str, bytes]) -> str:
    """The page as HTML; equal documents and images give equal pages.

    Args:
        document: the document.
        images: PNG by file name, <name>.png for each figure.
    """
    marked = any(column.kind == "metric" for table in document.tables for column in table.columns)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(TEMPLATE).render(
        document=document,
        items=[picture for picture in document.pictures if _SHOWN.fullmatch(picture.data)],
        before=[
            Section("data", "Data", sections.data(document)),
            Section("settings", "Settings", sections.settings(document)),
        ],
        results=Section("results", "Results", document.tables, MARKS if marked else ""),
        pictures=[_picture(figure, images[f"{figure.name}.png"]) for figure in document.figures],
        after=[
            Section("absent", "Rows without numbers", sections.absent(document)),
            Section("answers", "Generated responses", sections.answers(document)),
            Section("time", "Time and memory", sections.time(document)),
        ],
        origin=[pair for pair in provenance(document) if pair[0] != "versions"],
        lines=lines,
    )
    return f"{text.strip()}\n"


def _picture(figure: Figure, image: bytes) -> Picture:
    # the first PNG chunk holds width and height; two image pixels are one CSS pixel
    width, height = (int.from_bytes(image[offset : offset + 4]) // 2 for offset in (16, 20))
    return Picture(figure.caption, _alt(figure), b64encode(image).decode(), width, height, sections.numbers(figure))


def _alt(figure: Figure) -> str:
    """Alternative text: kind of the figure and the range of each series."""
    ranges = []
    for series in figure.series:
        present = [y for y in series.y if y is not None]
        values = f"{min(present):.4g} to {max(present):.4g}" if present else "no value"
        ranges.append(f"{series.label or figure.y_label} {values}")
    over = f" over {figure.x_label}" if figure.x_label else ""
    kind = {"lines": "Line chart", "bars": "Bar chart", "heat": "Heat map"}[figure.kind]
    return f"{kind} of {figure.y_label}{over}: {'; '.join(ranges) or 'no value'}."
