"""C1, C2 and C4 of a folder against a contrast, beside what the paper found against its like. DatasetCounts nothing."""

from collections.abc import Callable, Mapping, Sequence

from recbole_llmfashion.study.analysis import contrasts as paper
from recbole_llmfashion.study.analysis.counts import DatasetCounts
from recbole_llmfashion.study.analysis.measure import Measured
from recbole_llmfashion.study.report.document import Cell, Column, ReportTable, TableRow

TABLE_1 = {
    "luggage_bags": DatasetCounts(10_611, 61_550, 131_647),
    "footwear": DatasetCounts(63_273, 380_385, 714_628),
    "accessories_jewelry": DatasetCounts(106_104, 524_433, 1_376_999),
    "clothing": DatasetCounts(274_285, 1_386_910, 3_635_414),
}
CONTRASTS = ("electronics", "toys")
# Amazon's fashion as a whole, divided by the contrast
NEW_ITEMS = {"electronics": 3.6, "toys": 6.7}
LENGTH = {"electronics": 1.55, "toys": 1.81}
UNIQUE_QUERIES = {"electronics": 2.63, "toys": 2.38}

Pairs = Sequence[tuple[Measured, Measured]]
NOTHING = "not applicable: the contrast has no new items"
_PAPER = "in the paper: Amazon's fashion as a whole against its electronics and its toys."
_SIZE = "Volumes grow with the folder: a simulated one has as many users and items as it was told to."


def pairs(measured: Sequence[Measured], contrasts: Sequence[str]) -> list[tuple[Measured, Measured]]:
    """Each folder that is no contrast with each that is one."""
    by_name = {one.name: one for one in measured}
    return [(one, by_name[name]) for one in measured if one.name not in contrasts for name in contrasts]


def turnover_contrast(compared: Pairs) -> ReportTable:
    """C1."""
    columns = [
        Column("ratio", "new items a month, ratio", "number"),
        Column("paper", "in the paper", "number"),
        Column("own", "ratio of their shares of the items", "number"),
    ]
    return _table("c1_contrast", "C1: new items against the contrasts", columns, compared, _turnover, [_PAPER, _SIZE])


def length_contrast(compared: Pairs) -> ReportTable:
    """C2."""
    columns = [Column("longer", "longer by", "share"), Column("paper", "in the paper", "share")]
    return _table("c2_contrast", "C2: how much longer the sequences are", columns, compared, _length, [_PAPER])


def query_contrast(compared: Pairs) -> ReportTable:
    """C4."""
    columns = [
        Column("ratio", "unique a day, ratio", "number"),
        Column("paper", "in the paper", "number"),
        Column("own", "a day for 1,000 users, ratio", "number"),
        Column("a_user", "of a user, ratio", "number"),
        Column("unique", "in the whole log, ratio", "number"),
    ]
    return _table("c4_contrast", "C4: unique queries against the contrasts", columns, compared, _query, [_PAPER, _SIZE])


def _table(
    name: str,
    title: str,
    columns: Sequence[Column],
    compared: Pairs,
    compare: Callable[[Measured, Measured], dict[str, Cell] | str],
    notes: list[str],
) -> ReportTable:
    rows = []
    for one, contrast in compared:
        label, found = f"{one.name} against {contrast.name}", compare(one, contrast)
        rows.append(TableRow(label, reason=found) if isinstance(found, str) else TableRow(label, found, ranked=False))
    return ReportTable(name, title, columns, rows, notes, label="dataset")


def _turnover(one: Measured, contrast: Measured) -> dict[str, Cell] | str:
    mine, theirs = one.turnover, contrast.turnover
    if isinstance(mine, str) or isinstance(theirs, str):
        return _why(mine, theirs, one, contrast)
    if theirs.mean == 0:
        return NOTHING
    ratio = mine.mean / theirs.mean
    return _with_paper(paper.NEW_ITEMS, contrast, {"ratio": ratio, "own": ratio * theirs.catalogue / mine.catalogue})


def _length(one: Measured, contrast: Measured) -> dict[str, Cell] | str:
    longer = {name: ratio - 1 for name, ratio in paper.LENGTH.items()}
    return _with_paper(longer, contrast, {"longer": one.lengths.mean / contrast.lengths.mean - 1})


def _query(one: Measured, contrast: Measured) -> dict[str, Cell] | str:
    mine, theirs = one.queries, contrast.queries
    if isinstance(mine, str) or isinstance(theirs, str):
        return _why(mine, theirs, one, contrast)
    ratios: dict[str, Cell] = {
        "ratio": mine.a_day / theirs.a_day,
        "own": mine.a_day_per_user / theirs.a_day_per_user,
        "a_user": mine.a_user / theirs.a_user,
        "unique": mine.unique / theirs.unique,
    }
    return _with_paper(paper.UNIQUE_QUERIES, contrast, ratios)


def _why(mine: object, theirs: object, one: Measured, contrast: Measured) -> str:
    reason, whose = (mine, one) if isinstance(mine, str) else (theirs, contrast)
    return f"{reason} ({whose.name})"


def _with_paper(printed: Mapping[str, float], contrast: Measured, cells: dict[str, Cell]) -> dict[str, Cell]:
    return cells | ({"paper": printed[contrast.name]} if contrast.name in printed else {})
