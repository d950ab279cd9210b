"""The times that the package accepts, and what a larger number most likely is.

Times are seconds since 1970. The calendar of Python ends with the year 9999, and prompts look at the holidays of the
year that follows, so times end long before: at 1e11 seconds, in the year 5138. Milliseconds of any day since 1973 are
larger, so a wrong unit is noticed.
"""

from datetime import UTC, datetime

LATEST = 1e11
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # names of units as in numpy -> parts of a second
RANGE = "seconds since 1970, 0 or more and below 1e11"
_WORDS = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_LAST_GUESS = 7.3e9  # seconds; in the year 2201


def likely_unit(value: float) -> str | None:
    """The unit in which a number that is too large is a time of our days; None if there is none.

    >>> likely_unit(1_700_000_000_000), likely_unit(1.7e15), likely_unit(1.7e18), likely_unit(1e30)
    ('ms', 'us', 'ns', None)
    """
    if value < LATEST:
        return None
    return next((unit for unit in _WORDS if value / UNITS[unit] < _LAST_GUESS), None)


def guess(value: float) -> str:
    """A phrase that says what a number that is too large most likely is; empty if nothing is likely.

    >>> guess(1_700_000_000_000)
    'probably milliseconds (2023-11-14)'
    >>> guess(5.0)
    ''
    """
    unit = likely_unit(value)
    if unit is None:
        return ""
    day = datetime.fromtimestamp(value / UNITS[unit], UTC).date()
    return f"probably {_WORDS[unit]} ({day.isoformat()})"
