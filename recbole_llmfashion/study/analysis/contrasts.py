"""C1, C2 and C4 of a folder relative to a contrast dataset, with the ratios of the paper."""

from collections.abc import Callable, Mapping, Sequence

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
# ratios of the paper: all of Amazon's fashion divided by the contrast
NEW_ITEMS = {"electronics": 3.6, "toys": 6.7}
LENGTH = {"electronics": 1.55, "toys": 1.81}
UNIQUE_QUERIES = {"electronics": 2.63, "toys": 2.38}

Pairs = Sequence[tuple[Measured, Measured]]
NOTHING = "not applicable: the contrast has no new items"
_PAPER = "in the paper: all of Amazon's fashion relative to its electronics and its toys."
_SIZE = "Counts depend on the size of the folder; for a simulated folder the size is a parameter."


def pairs(measured: Sequence[Measured], contrasts: Sequence[str]) -> list[tuple[Measured, Measured]]:
    """All pairs of a folder that is not a contrast and a contrast."""
    by_name = {folder.name: folder for folder in measured}
    return [(folder, by_name[name]) for folder in measured if folder.name not in contrasts for name in contrasts]


def turnover_contrast(compared: Pairs) -> ReportTable:
    """The table of C1."""
    columns = [
        Column("ratio", "new items per month, ratio", "number"),
        Column("paper", "in the paper", "number"),
        Column("own", "as shares of the items, ratio", "number"),
    ]
    title = "C1: new items relative to the contrasts"
    return _table("c1_contrast", title, columns, compared, _turnover, [_PAPER, _SIZE])


def length_contrast(compared: Pairs) -> ReportTable:
    """The table of C2."""
    columns = [Column("longer", "longer by", "share"), Column("paper", "in the paper", "share")]
    title = "C2: sequence lengths relative to the contrasts"
    return _table("c2_contrast", title, columns, compared, _length, [_PAPER])


def query_contrast(compared: Pairs) -> ReportTable:
    """The table of C4."""
    columns = [
        Column("ratio", "unique per day, ratio", "number"),
        Column("paper", "in the paper", "number"),
        Column("own", "per day and 1,000 users, ratio", "number"),
        Column("a_user", "per user, ratio", "number"),
        Column("unique", "in the whole log, ratio", "number"),
    ]
    title = "C4: unique queries relative to the contrasts"
    return _table("c4_contrast", title, columns, compared, _query, [_PAPER, _SIZE])


def _table(
    name: str,
    title: str,
    columns: Sequence[Column],
    compared: Pairs,
    compare: Callable[[Measured, Measured], dict[str, Cell] | str],
    notes: list[str],
) -> ReportTable:
    rows = []
    for folder, contrast in compared:
        label, cells = f"{folder.name} against {contrast.name}", compare(folder, contrast)
        rows.append(TableRow(label, reason=cells) if isinstance(cells, str) else TableRow(label, cells, ranked=False))
    return ReportTable(name, title, columns, rows, notes, label="dataset")


def _turnover(folder: Measured, contrast: Measured) -> dict[str, Cell] | str:
    mine, theirs = folder.turnover, contrast.turnover
    if isinstance(mine, str) or isinstance(theirs, str):
        return _reason(mine, theirs, folder, contrast)
    if theirs.mean == 0:
        return NOTHING
    ratio = mine.mean / theirs.mean
    return _with_paper(NEW_ITEMS, contrast, {"ratio": ratio, "own": ratio * theirs.catalogue / mine.catalogue})


def _length(folder: Measured, contrast: Measured) -> dict[str, Cell] | str:
    longer = {name: ratio - 1 for name, ratio in LENGTH.items()}
    return _with_paper(longer, contrast, {"longer": folder.lengths.mean / contrast.lengths.mean - 1})


def _query(folder: Measured, contrast: Measured) -> dict[str, Cell] | str:
    mine, theirs = folder.queries, contrast.queries
    if isinstance(mine, str) or isinstance(theirs, str):
        return _reason(mine, theirs, folder, contrast)
    ratios: dict[str, Cell] = {
        "ratio": mine.a_day / theirs.a_day,
        "own": mine.a_day_per_user / theirs.a_day_per_user,
        "a_user": mine.a_user / theirs.a_user,
        "unique": mine.unique / theirs.unique,
    }
    return _with_paper(UNIQUE_QUERIES, contrast, ratios)


def _reason(mine: object, theirs: object, folder: Measured, contrast: Measured) -> str:
    reason, owner = (mine, folder) if isinstance(mine, str) else (theirs, contrast)
    return f"{reason} ({owner.name})"


def _with_paper(published: Mapping[str, float], contrast: Measured, cells: dict[str, Cell]) -> dict[str, Cell]:
    return cells | ({"paper": published[contrast.name]} if contrast.name in published else {})
