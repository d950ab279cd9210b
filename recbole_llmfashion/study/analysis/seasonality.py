"""C3: how months and holidays move the purchases of each season and occasion. Knows an atomic folder and a calendar."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.prompt.dates import MONTHS, coarse_date, holidays
from recbole_llmfashion.study.analysis.dates import NO_DATES, days, has_dates

COLUMNS = ("season", "occasion")
HOLIDAYS = tuple(holidays(2000))
TIMES = (*HOLIDAYS, "no holiday")
EXPECTED = 5.0  # purchases; a cell that expects fewer says little


@dataclass(frozen=True)
class Association:
    """How far two divisions of the same purchases depend on each other.

    Args:
        v: Cramer's V, 0 where neither tells anything of the other, 1 where one decides the other.
        baseline: the root of the mean square V of the same purchases in random order: what no dependence looks like.
    """

    v: float
    baseline: float


@dataclass(frozen=True)
class Seasonality:
    """Purchases by the value of their item in one column of `.item`; an empty cell is no value.

    Args:
        values: in descending order of purchases.
        by_month: [values, 12]; by_holiday: [values, TIMES] counts.
    """

    values: tuple[str, ...]
    by_month: np.ndarray
    by_holiday: np.ndarray


@dataclass(frozen=True)
class Pulls:
    """All purchases by month, [12], and by holiday, [TIMES]; and for each of COLUMNS its pull, or why there is none."""

    by_month: np.ndarray
    by_holiday: np.ndarray
    columns: dict[str, Seasonality | str]


def calendar_positions(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each timestamp the place in MONTHS and in TIMES; the holiday is the next one, at most 14 days ahead."""
    distinct, back = np.unique(days(times), return_inverse=True)
    texts = [coarse_date(int(day)).partition(", near ") for day in distinct]
    month = np.array([MONTHS.index(name) for name, _, _ in texts], np.int64)
    near = np.array([HOLIDAYS.index(name) if name else len(HOLIDAYS) for _, _, name in texts], np.int64)
    return month[back], near[back]


def pulls(folder: AtomicFolder) -> Pulls | str:
    """C3's counts, or why there are none."""
    times = folder.interactions["timestamp"].to_numpy(np.float64)
    if not has_dates(times):
        return NO_DATES
    bought = (folder.interactions["action"] == "purchase").to_numpy()
    month, near = calendar_positions(times[bought])
    items = folder.interactions["item_id"][bought]
    columns = {column: _pull(folder.items, column, items, month, near) for column in COLUMNS}
    return Pulls(np.bincount(month, minlength=len(MONTHS)), np.bincount(near, minlength=len(TIMES)), columns)


def _pull(
    catalogue: pd.DataFrame, column: str, items: pd.Series, month: np.ndarray, near: np.ndarray
) -> Seasonality | str:
    if column not in catalogue:
        return f"not applicable: no {column} column"
    cells = catalogue.set_index("item_id")[column].str.strip().reindex(items).to_numpy()
    filled = cells != ""
    counted = pd.Series(cells[filled]).value_counts()
    if counted.empty:
        return f"not applicable: no purchased item has a value in {column}"
    values = sorted(counted.index, key=lambda value: (-counted[value], value))
    rows = pd.Series(range(len(values)), index=values).reindex(cells[filled]).to_numpy()

    def table(columns: np.ndarray, width: int) -> np.ndarray:
        return np.bincount(rows * width + columns[filled], minlength=len(values) * width).reshape(-1, width)

    return Seasonality(tuple(values), table(month, len(MONTHS)), table(near, len(TIMES)))


def association(table: np.ndarray) -> Association | None:
    """Cramer's V of a table of counts, and its baseline; None for fewer than two rows or columns that are not empty.

    V = sqrt(chi2 / (n k)), k = min(rows, columns) - 1. With the sums of rows and columns as they are and the purchases
    in random order the mean of chi2 is n / (n - 1) (rows - 1) (columns - 1), so the baseline is
    sqrt((rows - 1) (columns - 1) / ((n - 1) k)).

    Args:
        table: [rows, columns] counts; empty rows and columns are left out.
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    rows, columns = table.shape
    if min(rows, columns) < 2:
        return None
    n, k = table.sum(), min(rows, columns) - 1
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chi2 = ((table - expected) ** 2 / expected).sum()
    return Association(float(np.sqrt(chi2 / (n * k))), float(np.sqrt((rows - 1) * (columns - 1) / ((n - 1) * k))))


def with_rest(table: np.ndarray, everything: np.ndarray) -> np.ndarray:
    """A pull's table, [values, columns], and below it the purchases of items without a value: [values + 1, columns].

    They belong to the question: Christmas gifts may be the only occasion of a shop, and still have their month.
    """
    return np.vstack([table, everything - table.sum(axis=0)])


def strongest(pull: Seasonality, by_month: np.ndarray) -> tuple[str, str, float] | None:
    """The value and the month with the most purchases for what both have in all.

    Args:
        by_month: [12] of all purchases, those of items without a value too.

    Returns:
        value, month, purchases / expected purchases; None where no cell expects EXPECTED.
    """
    expected = np.outer(pull.by_month.sum(axis=1), by_month) / by_month.sum()
    if not (expected >= EXPECTED).any():
        return None
    lift = np.where(expected >= EXPECTED, pull.by_month / np.maximum(expected, EXPECTED), -1.0)
    value, month = np.unravel_index(int(lift.argmax()), lift.shape)
    return pull.values[value], MONTHS[month], float(lift[value, month])
