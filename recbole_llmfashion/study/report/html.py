"""report.html: a document as one page that asks for nothing else. What it looks like is in report.html.j2.

Every text goes through autoescape. Knows no file but its template; the figures come as bytes.
"""

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
MARKS = "Bold: the best of its column; underlined: the second; equal means share a mark. ±: deviation over seeds."


@dataclass(frozen=True)
class Picture:
    """A figure as the template shows it: PNG in base64, its size in CSS pixels, its numbers."""

    caption: str
    alt: str
    data: str
    width: int
    height: int
    numbers: ReportTable


@dataclass(frozen=True)
class Section:
    """A part of the page: an anchor, a heading and its tables; one without tables is left out."""

    anchor: str
    title: str
    tables: list[ReportTable]
    lead: str = ""


def page(document: Document, images: Mapping[str, bytes]) -> str:
    """The page; equal documents and images give equal pages.

    Args:
        images: a PNG by file name, <name>.png for each figure.
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
        before=[
            Section("data", "Data", sections.data(document)),
            Section("settings", "Settings", sections.settings(document)),
        ],
        results=Section("results", "Results", document.tables, MARKS if marked else ""),
        pictures=[_picture(figure, images[f"{figure.name}.png"]) for figure in document.figures],
        after=[
            Section("absent", "Rows without numbers", sections.absent(document)),
            Section("answers", "Generated answers", sections.answers(document)),
            Section("time", "Time and memory", sections.time(document)),
        ],
        made=[pair for pair in provenance(document) if pair[0] != "versions"],
        lines=lines,
    )
    return f"{text.strip()}\n"


def _picture(figure: Figure, image: bytes) -> Picture:
    # width and height stand in the first chunk; two pixels make one of the page
    width, height = (int.from_bytes(image[at : at + 4]) // 2 for at in (16, 20))
    return Picture(figure.caption, _alt(figure), b64encode(image).decode(), width, height, sections.numbers(figure))


def _alt(figure: Figure) -> str:
    """What the figure shows, in words; the numbers stand below it."""
    ranges = []
    for series in figure.series:
        known = [y for y in series.y if y is not None]
        values = f"{min(known):.4g} to {max(known):.4g}" if known else "no value"
        ranges.append(f"{series.label or figure.y_label} {values}")
    over = f" over {figure.x_label}" if figure.x_label else ""
    kind = {"lines": "Line chart", "bars": "Bar chart", "heat": "Heat map"}[figure.kind]
    return f"{kind} of {figure.y_label}{over}: {'; '.join(ranges) or 'no value'}."
