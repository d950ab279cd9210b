"""C3: purchases of each season and occasion by month and by holiday, and how strongly they depend on them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.prompt.dates import MONTHS, coarse_date, holidays
from recbole_llmfashion.study.analysis.dates import NO_DATES, days, has_dates

COLUMNS = ("season", "occasion")
HOLIDAYS = tuple(holidays(2000))
TIMES = (*HOLIDAYS, "no holiday")
EXPECTED = 5.0  # cells with fewer expected purchases are ignored in `strongest`


@dataclass(frozen=True)
class Association:
    """Dependence between two groupings of the same purchases.

    Args:
        v: Cramer's V, 0 if they are independent, 1 if one determines the other.
        baseline: root mean square of V for the same purchases in random order.
    """

    v: float
    baseline: float


@dataclass(frozen=True)
class Seasonality:
    """Purchases by the value of their item in one column of `.item`; empty cells are left out.

    Args:
        values: the values, in descending order of purchases.
        by_month: [values, 12] purchases.
        by_holiday: [values, len(TIMES)] purchases.
    """

    values: tuple[str, ...]
    by_month: np.ndarray
    by_holiday: np.ndarray


@dataclass(frozen=True)
class Pulls:
    """Purchases by month and holiday.

    Args:
        by_month: [12] all purchases.
        by_holiday: [len(TIMES)] all purchases.
        columns: purchases by value for each of COLUMNS, or the reason why there are none.
    """

    by_month: np.ndarray
    by_holiday: np.ndarray
    columns: dict[str, Seasonality | str]


def calendar_positions(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of timestamps in MONTHS and in TIMES; the holiday is the next one, at most 14 days ahead."""
    distinct, inverse = np.unique(days(times), return_inverse=True)
    texts = [coarse_date(int(day)).partition(", near ") for day in distinct]
    month = np.array([MONTHS.index(name) for name, _, _ in texts], np.int64)
    near = np.array([HOLIDAYS.index(name) if name else len(HOLIDAYS) for _, _, name in texts], np.int64)
    return month[inverse], near[inverse]


def pulls(folder: AtomicFolder) -> Pulls | str:
    """The counts of C3, or the reason why there are none."""
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
    counts = pd.Series(cells[filled]).value_counts()
    if counts.empty:
        return f"not applicable: no purchased item has a value in {column}"
    values = sorted(counts.index, key=lambda value: (-counts[value], value))
    rows = pd.Series(range(len(values)), index=values).reindex(cells[filled]).to_numpy()

    def table(columns: np.ndarray, width: int) -> np.ndarray:
        return np.bincount(rows * width + columns[filled], minlength=len(values) * width).reshape(-1, width)

    return Seasonality(tuple(values), table(month, len(MONTHS)), table(near, len(TIMES)))


def association(table: np.ndarray) -> Association | None:
    """Cramer's V of a table of counts, and its baseline.

    V = sqrt(chi2 / (n k)), k = min(rows, columns) - 1. For the same row and column sums and random order, the mean of
    chi2 is n / (n - 1) (rows - 1) (columns - 1), so the baseline is sqrt((rows - 1) (columns - 1) / ((n - 1) k)).

    Args:
        table: [rows, columns] counts; empty rows and columns are ignored.

    Returns:
        None if fewer than two rows or columns are not empty.

    Example:
        >>> association(np.array([[10, 0], [0, 10]])).v
        1.0
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    rows, columns = table.shape
    if min(rows, columns) < 2:
        return None
    n, k = table.sum(), min(rows, columns) - 1
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chi2 = ((table - expected) ** 2 / expected).sum()
    return Association(float(np.sqrt(chi2 / (n * k))), float(np.sqrt((rows - 1) * (columns - 1) / ((n - 1) * k))))


def with_rest(table: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Adds a row for the purchases of items without a value.

    Without it, a shop whose only occasion is Christmas gifts would show no dependence on the month.

    Args:
        table: [values, columns] purchases by value.
        totals: [columns] all purchases.

    Returns:
        [values + 1, columns].
    """
    return np.vstack([table, totals - table.sum(axis=0)])


def strongest(pull: Seasonality, by_month: np.ndarray) -> tuple[str, str, float] | None:
    """The value and month with the largest ratio of purchases to expected purchases.

    Args:
        pull: purchases by value.
        by_month: [12] all purchases, including those of items without a value.

    Returns:
        value, month and ratio; None if no cell has at least EXPECTED expected purchases.
    """
    expected = np.outer(pull.by_month.sum(axis=1), by_month) / by_month.sum()
    if not (expected >= EXPECTED).any():
        return None
    lift = np.where(expected >= EXPECTED, pull.by_month / np.maximum(expected, EXPECTED), -1.0)
    value, month = np.unravel_index(int(lift.argmax()), lift.shape)
    return pull.values[value], MONTHS[month], float(lift[value, month])
