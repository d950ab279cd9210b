"""Table 1 and one table for each of C1 to C4, with one row per folder."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from recbole_llmfashion.study.analysis import contrasts
from recbole_llmfashion.study.analysis.counts import DatasetCounts
from recbole_llmfashion.study.analysis.measure import Measured
from recbole_llmfashion.study.analysis.queries import QueryCounts
from recbole_llmfashion.study.analysis.seasonality import (
    Pulls,
    Seasonality,
    association,
    strongest,
    with_rest,
)
from recbole_llmfashion.study.analysis.turnover import Turnover
from recbole_llmfashion.study.report.document import Cell, Column, ReportTable, TableRow

Figures = TypeVar("Figures")


def table_1(measured: Sequence[Measured]) -> ReportTable:
    """Table 1; a folder named like one of the paper's datasets is followed by the row of the paper."""
    columns = [
        Column("users", "users", "count"),
        Column("items", "items", "count"),
        Column("interactions", "interactions", "count"),
        Column("length", "mean length", "number"),
        Column("per_item", "interactions per item", "number"),
        Column("density", "density", "number"),
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
        "interactions: item actions without searches, after the paper's click filter, which drops a click on an item "
        "that the same user purchases; items: the whole catalogue, including items without actions; "
        "density: interactions / (users x items)."
    ]
    return table


def _counted(counts: DatasetCounts) -> dict[str, Cell]:
    return {
        "users": counts.users,
        "items": counts.items,
        "interactions": counts.interactions,
        "length": counts.mean_length,
        "per_item": counts.per_item,
        "density": counts.density,
    }


def table_1_ratio(measured: Sequence[Measured]) -> ReportTable:
    """Table 1 of folders named like one of the paper's datasets, divided by the row of the paper; may have no rows."""
    columns = [
        Column("users", "users", "number"),
        Column("items", "items", "number"),
        Column("interactions", "interactions", "number"),
        Column("length", "mean length", "number"),
        Column("per_item", "interactions per item", "number"),
        Column("density", "density", "number"),
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
    """The table of C1."""
    columns = [
        Column("catalogue", "items", "count"),
        Column("basis", "first appearance by", "text"),
        Column("dated", "items that appear", "count"),
        Column("months", "months", "count"),
        Column("median", "new per month, median", "number"),
        Column("mean", "new per month, mean", "number"),
        Column("median_share", "of the items, median", "share"),
        Column("mean_share", "of the items, mean", "share"),
    ]
    rows = [_row(folder.name, folder.turnover, _turnover_cells) for folder in measured]
    notes = [
        "months: calendar months with at least 25 days between the first and the last item action.",
        "By first action, an item is new when a user first clicks or buys it: the first month is left out, later "
        "months still count some old items, and items without any action never appear.",
        "The paper gives no rate, only about 3 million new purchasable items per month on Amazon Fashion.",
    ]
    return ReportTable("c1_turnover", "C1: new items per month", columns, rows, notes, label="dataset")


def _turnover_cells(turnover: Turnover) -> dict[str, Cell]:
    return {
        "catalogue": turnover.catalogue,
        "basis": turnover.basis,
        "dated": turnover.dated,
        "months": len(turnover.months),
        "median": turnover.median,
        "mean": turnover.mean,
        "median_share": turnover.median / turnover.catalogue,
        "mean_share": turnover.mean / turnover.catalogue,
    }


def length_table(measured: Sequence[Measured]) -> ReportTable:
    """The table of C2."""
    columns = [
        Column("mean", "mean", "number"),
        Column("lower", "lower quartile", "number"),
        Column("median", "median", "number"),
        Column("upper", "upper quartile", "number"),
        Column("all_clicks", "mean with all clicks", "number"),
    ]
    rows = [TableRow(m.name, {c.key: getattr(m.lengths, c.key) for c in columns}, ranked=False) for m in measured]
    notes = ["Interactions per user, counted as in Table 1; the last column is without the click filter."]
    return ReportTable("c2_lengths", "C2: sequence lengths", columns, rows, notes, label="dataset")


def pull_table(measured: Sequence[Measured]) -> ReportTable:
    """The table of C3."""
    columns = [
        Column("values", "values", "count"),
        Column("purchases", "purchases", "count"),
        Column("share", "of all", "share"),
        Column("months", "V, months", "number"),
        Column("months_baseline", "V at random", "number"),
        Column("holidays", "V, holidays", "number"),
        Column("holidays_baseline", "V at random", "number"),
        Column("strongest", "strongest month", "text"),
    ]
    table = ReportTable("c3_pull", "C3: purchases by month and holiday", columns, [], label="dataset, column")
    for folder in measured:
        if isinstance(folder.pulls, str):
            table.rows.append(TableRow(folder.name, reason=folder.pulls))
            continue
        for column, pull in folder.pulls.columns.items():
            table.rows.append(_row(f"{folder.name}, {column}", pull, partial(_pull_cells, pulls=folder.pulls)))
    table.notes = [
        "purchases: of items with a value in the column. V: Cramer's V between the value (a missing one counts as a "
        "value) and the month, or the holiday at most 14 days ahead; 0: independent, 1: fully dependent.",
        "V at random: root mean square of V for the same purchases in random order; a V near it shows no dependence.",
        "strongest month: purchases of the value in that month divided by their expected number.",
    ]
    return table


def _pull_cells(pull: Seasonality, pulls: Pulls) -> dict[str, Cell]:
    purchases = int(pull.by_month.sum())
    cells: dict[str, Cell] = {
        "values": len(pull.values),
        "purchases": purchases,
        "share": purchases / int(pulls.by_month.sum()),
    }
    for key, table, totals in (
        ("months", pull.by_month, pulls.by_month),
        ("holidays", pull.by_holiday, pulls.by_holiday),
    ):
        dependence = association(with_rest(table, totals))
        if dependence is not None:
            cells |= {key: dependence.v, f"{key}_baseline": dependence.baseline}
    top = strongest(pull, pulls.by_month)
    if top is not None:
        cells["strongest"] = f"{top[0]} in {top[1]}, {top[2]:.1f} times"
    return cells


def query_table(measured: Sequence[Measured]) -> ReportTable:
    """The table of C4."""
    columns = [
        Column("searches", "searches", "count"),
        Column("days", "days with searches", "count"),
        Column("unique", "unique queries", "count"),
        Column("a_day", "unique per day", "number"),
        Column("a_day_per_thousand", "per day and 1,000 users", "number"),
        Column("a_user", "unique per user", "number"),
    ]
    rows = [_row(folder.name, folder.queries, _query_cells) for folder in measured]
    notes = [
        "unique: after lower-casing and white-space normalization; per day: mean over days (UTC) with searches; per "
        "user: mean over all users.",
        "With few searches per day nearly all queries of a day differ, so unique queries per day equal searches.",
    ]
    return ReportTable("c4_queries", "C4: unique queries", columns, rows, notes, label="dataset")


def _query_cells(queries: QueryCounts) -> dict[str, Cell]:
    return {
        "searches": queries.searches,
        "days": queries.days,
        "unique": queries.unique,
        "a_day": queries.a_day,
        "a_day_per_thousand": 1000 * queries.a_day_per_user,
        "a_user": queries.a_user,
    }


def _row(label: str, figures: Figures | str, cells: Callable[[Figures], dict[str, Cell]]) -> TableRow:
    """A row of figures, or of the reason why there are none."""
    if isinstance(figures, str):
        return TableRow(label, reason=figures)
    return TableRow(label, cells(figures), ranked=False)
