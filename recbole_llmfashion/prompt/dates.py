"""Coarse dates: the month, and a holiday if one is near (docs/method.md, stage 1; C3 of the paper).

A holiday is near on the day itself and on the fourteen days before it. The holidays are those that affect purchases in
Western shops. All times are UTC.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

NEAR_DAYS = 14
DAY = 86400
CACHED_DAYS = 4096  # eleven years; requests to a service may have any date
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (anonymous Gregorian algorithm).

    >>> easter(2024).isoformat()
    '2024-03-31'
    """
    century, rest = divmod(year, 100)
    leap, centuries = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * (year % 19) + century - leap - correction + 15) % 30
    weekday = (32 + 2 * centuries + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (year % 19 + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _nth_weekday(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta((weekday - first.weekday()) % 7 + 7 * (n - 1))


def holidays(year: int) -> dict[str, date]:
    """The holidays of a year by name."""
    return {
        "New Year": date(year, 1, 1),
        "Valentine's Day": date(year, 2, 14),
        "Easter": easter(year),
        "Mother's Day": _nth_weekday(year, 5, 6, 2),
        "Halloween": date(year, 10, 31),
        "Black Friday": _nth_weekday(year, 11, 3, 4) + timedelta(1),
        "Christmas": date(year, 12, 25),
    }


@lru_cache(maxsize=CACHED_DAYS)
def coarse_date(day: int) -> str:
    """The month of a day, and the nearest holiday if there is one.

    Args:
        day: days since 1970-01-01; its year is before 9999.

    >>> coarse_date(0)
    'Jan, near New Year'
    >>> coarse_date(19_797)  # 2024-03-15
    'Mar'
    """
    today = datetime.fromtimestamp(day * DAY, UTC).date()
    near = [
        (when - today, name)
        for year in (today.year, today.year + 1)
        for name, when in holidays(year).items()
        if timedelta(0) <= when - today <= timedelta(NEAR_DAYS)
    ]
    month = MONTHS[today.month - 1]
    return f"{month}, near {min(near)[1]}" if near else month
