"""C1: the number of new items in a catalogue per month."""

from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.study.analysis.dates import NO_DATES, covered_months, has_dates, months

NO_MONTH = "not applicable: the log covers no whole month"


@dataclass(frozen=True)
class Turnover:
    """New items by month.

    Args:
        catalogue: number of items in `.item`.
        basis: how the first appearance of an item is determined.
        dated: number of items with a first appearance.
        months: months such as 2024-01.
        new: number of items that first appear in each month.
    """

    catalogue: int
    basis: str
    dated: int
    months: tuple[str, ...]
    new: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean number of new items per month."""
        return fmean(self.new)

    @property
    def median(self) -> float:
        """Median number of new items per month."""
        return float(median(self.new))


def first_appearance(interactions: pd.DataFrame, items: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """First appearance of each item: `available_from` if the cell is filled, else its first action.

    Returns:
        [items] float64 seconds, NaN for an item with neither; [items] bool, True if taken from `available_from`.
    """
    acted = interactions.groupby("item_id")["timestamp"].min().reindex(items["item_id"]).to_numpy(np.float64)
    if "available_from" not in items:
        return acted, np.zeros(len(items), bool)
    listed = items["available_from"].to_numpy(np.float64)
    given = np.isfinite(listed)
    return np.where(given, listed, acted), given


def turnover(folder: AtomicFolder) -> Turnover | str:
    """The counts of C1 over the months that the log covers, or the reason why there are none.

    If first actions are used, the first month is left out, because every item of that month would count as new.
    """
    times = folder.interactions["timestamp"].to_numpy(np.float64)
    if not has_dates(times):
        return NO_DATES
    first, given = first_appearance(folder.interactions, folder.items)
    covered = covered_months(times)
    if not given.all() and len(covered):
        covered = covered[covered > months(times.min(keepdims=True))[0]]
    if not len(covered):
        return NO_MONTH
    # available_from may be decades before the log, so only times within these months are converted
    begin, end = (float(month.astype("datetime64[s]").astype(np.int64)) for month in (covered[0], covered[-1] + 1))
    appeared = months(first[(first >= begin) & (first < end)])
    new = [int((appeared == month).sum()) for month in covered]
    return Turnover(
        len(folder.items), _basis(given), int(np.isfinite(first).sum()), tuple(map(str, covered)), tuple(new)
    )


def _basis(given: np.ndarray) -> str:
    if not given.any():
        return "first action"
    return "available_from" if given.all() else f"available_from, else first action ({int((~given).sum()):,} items)"
