"""C1: how many items a catalogue gains each month. Knows an atomic folder and no other folder to compare it with."""

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
        catalogue: items in `.item`.
        basis: what tells an item's first appearance.
        dated: items that have one.
        months: such as 2024-01; new: items that first appear in each.
    """

    catalogue: int
    basis: str
    dated: int
    months: tuple[str, ...]
    new: tuple[int, ...]

    @property
    def mean(self) -> float:
        """New items a month."""
        return fmean(self.new)

    @property
    def median(self) -> float:
        """New items of the middle month."""
        return float(median(self.new))


def first_appearance(interactions: pd.DataFrame, items: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """When each item first appears: `available_from` where the cell is filled, else its first action.

    Returns:
        [items] float64 seconds, NaN for an item with neither; [items] bool, True where `available_from` says so.
    """
    acted = interactions.groupby("item_id")["timestamp"].min().reindex(items["item_id"]).to_numpy(np.float64)
    if "available_from" not in items:
        return acted, np.zeros(len(items), bool)
    listed = items["available_from"].to_numpy(np.float64)
    given = np.isfinite(listed)
    return np.where(given, listed, acted), given


def turnover(folder: AtomicFolder) -> Turnover | str:
    """C1's numbers over the months that the log covers, or why there are none.

    In the first month of a log every item acts for the first time, so that month is left out where first actions
    decide.
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
    # an item may be listed decades before the log; only times in these months are turned into months
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
