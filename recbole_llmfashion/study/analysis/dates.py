"""Days and months of timestamps in UTC, and the months that a log covers."""

import numpy as np

from recbole_llmfashion.data.timeline import ORDER_ONLY_BELOW

DAY = 86400
COVERED_DAYS = 25  # months with fewer days in the log are not counted
NO_DATES = "not applicable: no dates"


def has_dates(times: np.ndarray) -> bool:
    """Whether all timestamps are dates; small numbers are an order only (docs/method.md, stage 1)."""
    return bool(len(times)) and float(times.min()) >= ORDER_ONLY_BELOW


def days(times: np.ndarray) -> np.ndarray:
    """[n] int64 days since 1970-01-01, rounded down.

    Example:
        >>> days(np.array([0.0, 86400.5])).tolist()
        [0, 1]
    """
    return np.floor_divide(times, DAY).astype(np.int64)


def months(times: np.ndarray) -> np.ndarray:
    """[n] datetime64[M] months of timestamps.

    Example:
        >>> months(np.array([0.0])).astype(str).tolist()
        ['1970-01']
    """
    return days(times).astype("datetime64[D]").astype("datetime64[M]")


def covered_months(times: np.ndarray) -> np.ndarray:
    """Calendar months, ascending, with at least COVERED_DAYS days between the first and the last of `times`."""
    first, last = days(np.array([times.min(), times.max()])).astype("datetime64[D]")
    every = np.arange(first.astype("datetime64[M]"), last.astype("datetime64[M]") + 1)
    begins = np.maximum(every.astype("datetime64[D]"), first)
    ends = np.minimum((every + 1).astype("datetime64[D]"), last + 1)
    return every[(ends - begins).astype(np.int64) >= COVERED_DAYS]
