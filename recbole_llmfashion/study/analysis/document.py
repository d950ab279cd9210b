"""Builds the document of the analysis from the measurements of each folder."""

from collections.abc import Sequence

from recbole_llmfashion.study.analysis import contrasts as against
from recbole_llmfashion.study.analysis import tables
from recbole_llmfashion.study.analysis.counts import order_notes
from recbole_llmfashion.study.analysis.figures import figures
from recbole_llmfashion.study.analysis.measure import Measured
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.versions import versions

_NOTES = [
    "The paper's data are private: its numbers are a reference for the pattern, not for the size of these values.",
    "A folder written by `recbole-llmfashion simulate` shows C1 to C4 because the simulator generates them.",
]
_NO_CONTRAST = "No ratios: a contrast is a folder named electronics or toys, or one given with --contrast."


def assemble(measured: Sequence[Measured], contrasts: Sequence[str], command: str) -> Document:
    """The document of several folders.

    Args:
        measured: one per folder.
        contrasts: names of the folders that the others are compared with.
        command: the command line.
    """
    compared = against.pairs(measured, contrasts)
    candidates = [
        tables.table_1(measured),
        tables.table_1_ratio(measured),
        tables.turnover_table(measured),
        against.turnover_contrast(compared),
        tables.length_table(measured),
        against.length_contrast(compared),
        tables.pull_table(measured),
        tables.query_table(measured),
        against.query_contrast(compared),
    ]
    names = ", ".join(one.name for one in measured)
    data = {one.name: one.facts for one in measured}
    return Document(
        study="analyze",
        title=f"Table 1 and C1 to C4 of the paper's section 3: {names}",
        dataset=names,
        data=data,
        seeds=[],
        command=command,
        versions=versions(),
        settings={"contrasts": list(contrasts)},
        tables=[table for table in candidates if table.rows],
        figures=figures(measured),
        notes=[*_NOTES, *([] if compared else [_NO_CONTRAST]), *order_notes(data)],
    )
