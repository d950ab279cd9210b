"""The document of the analysis, from what was measured of each folder. Counts nothing, reads and writes no file."""

from collections.abc import Sequence

from recbole_llmfashion.study.analysis import contrasts as against
from recbole_llmfashion.study.analysis import tables
from recbole_llmfashion.study.analysis.figures import figures
from recbole_llmfashion.study.analysis.measure import Measured
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.versions import versions

_NOTES = [
    "The paper's data are private: its numbers are a reference for the pattern, not for the size, of what stands here.",
    "A folder that `recbole-llmfashion simulate` made shows C1 to C4 because they were planted in it.",
]
_NO_CONTRAST = "No ratios: a contrast is a given folder named electronics or toys, or one that --contrast names."


def assemble(measured: Sequence[Measured], contrasts: Sequence[str], command: str) -> Document:
    """The document of folders; `contrasts` are names among theirs."""
    compared = against.pairs(measured, contrasts)
    made = [
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
    return Document(
        study="analyze",
        title=f"Table 1 and C1 to C4 of the paper's section 3: {names}",
        dataset=names,
        data={one.name: one.facts for one in measured},
        seeds=[],
        command=command,
        versions=versions(),
        settings={"contrasts": list(contrasts)},
        tables=[table for table in made if table.rows],
        figures=figures(measured),
        notes=[*_NOTES, *([] if compared else [_NO_CONTRAST])],
    )
