"""Days and months of timestamps, in UTC, and which months a log covers. Knows arrays of seconds and nothing else."""

import numpy as np

from recbole_llmfashion.data.timeline import ORDER_ONLY_BELOW
from recbole_llmfashion.errors import UserError

DAY = 86400
LAST = 253402300800.0  # seconds; the year 10000, beyond which no calendar goes
COVERED_DAYS = 25  # a month with fewer days in the log would count as a quiet one
NO_DATES = "not applicable: no dates"


def has_dates(times: np.ndarray) -> bool:
    """Whether all timestamps are dates; small ones only give an order (docs/method.md, stage 1)."""
    return bool(len(times)) and float(times.min()) >= ORDER_ONLY_BELOW


def check_range(times: np.ndarray, where: str) -> None:
    """Refuse what can be no date in seconds.

    Raises:
        UserError: a timestamp at or after the year 10000, as milliseconds give.
    """
    if len(times) and float(times.max()) >= LAST:
        raise UserError(
            f"{where}: timestamp {times.max():.17g} is after the year 9999; write seconds, not milliseconds"
        )


def days(times: np.ndarray) -> np.ndarray:
    """[n] int64 whole days since 1970-01-01."""
    return np.floor_divide(times, DAY).astype(np.int64)


def months(times: np.ndarray) -> np.ndarray:
    """[n] datetime64[M]."""
    return days(times).astype("datetime64[D]").astype("datetime64[M]")


def covered_months(times: np.ndarray) -> np.ndarray:
    """Calendar months, ascending, of which at least COVERED_DAYS days lie between the first and the last of `times`."""
    first, last = days(np.array([times.min(), times.max()])).astype("datetime64[D]")
    every = np.arange(first.astype("datetime64[M]"), last.astype("datetime64[M]") + 1)
    begins = np.maximum(every.astype("datetime64[D]"), first)
    ends = np.minimum((every + 1).astype("datetime64[D]"), last + 1)
    return every[(ends - begins).astype(np.int64) >= COVERED_DAYS]
