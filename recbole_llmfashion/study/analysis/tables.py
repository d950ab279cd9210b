"""Table 1 and a table of each of C1 to C4, a line a folder. DatasetCounts nothing and compares no two folders."""

from collections.abc import Sequence

from recbole_llmfashion.study.analysis import contrasts
from recbole_llmfashion.study.analysis.counts import DatasetCounts
from recbole_llmfashion.study.analysis.measure import Measured
from recbole_llmfashion.study.analysis.seasonality import (
    Pulls,
    Seasonality,
    association,
    strongest,
    with_rest,
)
from recbole_llmfashion.study.report.document import Cell, Column, ReportTable, TableRow


def table_1(measured: Sequence[Measured]) -> ReportTable:
    """Table 1, the paper's own lines beside folders of their names."""
    columns = [
        Column("users", "users", "count"),
        Column("items", "items", "count"),
        Column("interactions", "interactions", "count"),
        Column("length", "mean length", "number"),
        Column("per_item", "interactions per item", "number"),
        Column("actions", "item actions, all clicks", "count"),
        Column("searches", "searches", "count"),
    ]
    table = ReportTable("table1", "Table 1: the data", columns, [], label="dataset")
    for one in measured:
        cells = _counted(one.counts) | {"actions": one.facts["item actions"], "searches": one.facts["searches"]}
        table.rows.append(TableRow(one.name, cells, ranked=False))
        if one.name in contrasts.TABLE_1:
            table.rows.append(TableRow(f"{one.name} in the paper", _counted(contrasts.TABLE_1[one.name]), ranked=False))
    table.notes = [
        "interactions: item actions without searches, after the paper's filter, which drops a click on an item that "
        "the same user purchases; items: the whole catalogue, seen or not."
    ]
    return table


def _counted(counts: DatasetCounts) -> dict[str, Cell]:
    return {
        "users": counts.users,
        "items": counts.items,
        "interactions": counts.interactions,
        "length": counts.mean_length,
        "per_item": counts.per_item,
    }


def table_1_ratio(measured: Sequence[Measured]) -> ReportTable:
    """Folders with the name of one of the paper's categories, divided by its line; no rows where there is none."""
    columns = [
        Column("users", "users", "number"),
        Column("items", "items", "number"),
        Column("interactions", "interactions", "number"),
        Column("length", "mean length", "number"),
        Column("per_item", "interactions per item", "number"),
    ]
    table = ReportTable("table1_ratio", "Table 1: this folder divided by the paper's", columns, [], label="dataset")
    for one in measured:
        if one.name in contrasts.TABLE_1:
            own, theirs = _counted(one.counts), _counted(contrasts.TABLE_1[one.name])
            ratios: dict[str, Cell] = {key: _number(own[key]) / _number(theirs[key]) for key in own}
            table.rows.append(TableRow(one.name, ratios, ranked=False))
    return table


def _number(cell: Cell) -> float:
    assert isinstance(cell, int | float)
    return float(cell)


def turnover_table(measured: Sequence[Measured]) -> ReportTable:
    """C1."""
    columns = [
        Column("catalogue", "items", "count"),
        Column("basis", "first appearance by", "text"),
        Column("dated", "items that appear", "count"),
        Column("months", "months", "count"),
        Column("median", "new a month, median", "number"),
        Column("mean", "new a month, mean", "number"),
        Column("median_share", "of the items, median", "share"),
        Column("mean_share", "of the items, mean", "share"),
    ]
    table = ReportTable("c1_turnover", "C1: new items a month", columns, [], label="dataset")
    for one in measured:
        found = one.turnover
        if isinstance(found, str):
            table.rows.append(TableRow(one.name, reason=found))
            continue
        cells: dict[str, Cell] = {
            "catalogue": found.catalogue,
            "basis": found.basis,
            "dated": found.dated,
            "months": len(found.months),
            "median": found.median,
            "mean": found.mean,
            "median_share": found.median / found.catalogue,
            "mean_share": found.mean / found.catalogue,
        }
        table.rows.append(TableRow(one.name, cells, ranked=False))
    table.notes = [
        "months: calendar months with at least 25 days between the first and the last item action.",
        "By first action, an item is new when somebody first clicks or buys it: the first month is left out, the "
        "months after it still find old stock, and items that nobody touched never appear.",
        "The paper gives no rate, only about 3 million new purchasable items a month on Amazon Fashion.",
    ]
    return table


def length_table(measured: Sequence[Measured]) -> ReportTable:
    """C2."""
    columns = [
        Column("mean", "mean", "number"),
        Column("lower", "lower quartile", "number"),
        Column("median", "median", "number"),
        Column("upper", "upper quartile", "number"),
        Column("all_clicks", "mean with all clicks", "number"),
    ]
    rows = [TableRow(m.name, {c.key: getattr(m.lengths, c.key) for c in columns}, ranked=False) for m in measured]
    notes = ["Interactions of a user, counted as in Table 1; the last column without the click filter."]
    return ReportTable("c2_lengths", "C2: sequence lengths", columns, rows, notes, label="dataset")


def pull_table(measured: Sequence[Measured]) -> ReportTable:
    """C3."""
    columns = [
        Column("values", "values", "count"),
        Column("purchases", "purchases", "count"),
        Column("share", "of all", "share"),
        Column("months", "V, months", "number"),
        Column("months_baseline", "by chance", "number"),
        Column("holidays", "V, holidays", "number"),
        Column("holidays_baseline", "by chance", "number"),
        Column("strongest", "strongest month", "text"),
    ]
    table = ReportTable("c3_pull", "C3: how months and holidays move purchases", columns, [], label="dataset, column")
    for one in measured:
        if isinstance(one.pulls, str):
            table.rows.append(TableRow(one.name, reason=one.pulls))
            continue
        for column, pull in one.pulls.columns.items():
            label = f"{one.name}, {column}"
            if isinstance(pull, str):
                table.rows.append(TableRow(label, reason=pull))
            else:
                table.rows.append(TableRow(label, _pull_cells(pull, one.pulls), ranked=False))
    table.notes = [
        "purchases: of items that have a value in the column. V: Cramer's V between the value, none being one more, "
        "and the month, or the holiday at most 14 days ahead; 0 where they move nothing, 1 where they decide all.",
        "by chance: what V is, on the average, where all months have the same values (the same purchases in random "
        "order); a V near it shows nothing.",
        "strongest month: purchases of the value in that month, divided by what its share of all purchases would give.",
    ]
    return table


def _pull_cells(pull: Seasonality, found: Pulls) -> dict[str, Cell]:
    counted = int(pull.by_month.sum())
    cells: dict[str, Cell] = {
        "values": len(pull.values),
        "purchases": counted,
        "share": counted / int(found.by_month.sum()),
    }
    for key, table, everything in (
        ("months", pull.by_month, found.by_month),
        ("holidays", pull.by_holiday, found.by_holiday),
    ):
        linked = association(with_rest(table, everything))
        if linked is not None:
            cells |= {key: linked.v, f"{key}_baseline": linked.baseline}
    top = strongest(pull, found.by_month)
    if top is not None:
        cells["strongest"] = f"{top[0]} in {top[1]}, {top[2]:.1f} times"
    return cells


def query_table(measured: Sequence[Measured]) -> ReportTable:
    """C4."""
    columns = [
        Column("searches", "searches", "count"),
        Column("days", "days with searches", "count"),
        Column("unique", "unique queries", "count"),
        Column("a_day", "unique a day", "number"),
        Column("a_day_per_thousand", "a day for 1,000 users", "number"),
        Column("a_user", "unique of a user", "number"),
    ]
    table = ReportTable("c4_queries", "C4: unique queries", columns, [], label="dataset")
    for one in measured:
        found = one.queries
        if isinstance(found, str):
            table.rows.append(TableRow(one.name, reason=found))
            continue
        cells: dict[str, Cell] = {
            "searches": found.searches,
            "days": found.days,
            "unique": found.unique,
            "a_day": found.a_day,
            "a_day_per_thousand": 1000 * found.a_day_per_user,
            "a_user": found.a_user,
        }
        table.rows.append(TableRow(one.name, cells, ranked=False))
    table.notes = [
        "unique: equal queries are one after lower-casing and white-space folding; a day: mean over days (UTC) with "
        "searches; of a user: mean over all users.",
        "Where a day has few searches nearly all of them differ, and unique queries a day count searches.",
    ]
    return table
