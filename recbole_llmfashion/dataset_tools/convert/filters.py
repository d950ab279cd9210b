"""Which events stay: a range of days, no repeats, a k-core; and an order within days for logs that know days alone.

Pure functions over the arrays of `events`. Knows no source and no file.
"""

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.convert.events import SourceEvents
from recbole_llmfashion.errors import UserError

DAY = 86_400


def day_range(since: str | None, until: str | None) -> tuple[float, float]:
    """Seconds [first, beyond) of two ISO days (UTC), both included; None leaves that side open.

    Raises:
        UserError: a day that is none, or a range without a day.
    """
    first = -np.inf if since is None else _day(since, "--since")
    beyond = np.inf if until is None else _day(until, "--until") + DAY
    if first >= beyond:
        raise UserError(f"--since {since} is after --until {until}; exchange them")
    return first, beyond


def _day(text: str, flag: str) -> float:
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)) / timedelta(seconds=1)
    except ValueError:
        raise UserError(f"{flag} {text!r}: expected a day like 2021-12-31") from None


def repeats(events: SourceEvents) -> NDArray[np.bool_]:
    """[n] bool, rows that repeat an earlier one: same user, item, action and time."""
    if not len(events):
        return np.zeros(0, dtype=bool)
    columns = (events.users, events.items, events.purchases, events.seconds)
    # stable, so that the first of equals in file order comes first
    order = np.lexsort(columns)
    same = np.ones(len(events), dtype=bool)
    for column in columns:
        ordered = column[order]
        same[1:] &= ordered[1:] == ordered[:-1]
    same[0] = False
    found = np.empty(len(events), dtype=bool)
    found[order] = same
    return found


def in_core(events: SourceEvents, k: int) -> NDArray[np.bool_]:
    """[n] bool, the largest set of rows in which each user and each item has at least k."""
    rows = np.ones(len(events), dtype=bool)
    while True:
        few = np.zeros(len(events), dtype=bool)
        for codes in (events.users, events.items):
            few |= (np.bincount(codes[rows], minlength=int(codes.max(initial=-1)) + 1) < k)[codes]
        if not (few & rows).any():
            return rows
        rows &= ~few


def spread_days(events: SourceEvents) -> SourceEvents:
    """Times that are days become the day's first seconds: 0, 1, 2, .. for a user's rows of that day, in file order.

    Raises:
        UserError: a user with a day of more rows than seconds, the last of which is left to searches.
    """
    order = np.lexsort((events.seconds, events.users))
    users, seconds = events.users[order], events.seconds[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (users[1:] != users[:-1]) | (seconds[1:] != seconds[:-1])
    places = np.arange(len(order))
    rank = places - np.maximum.accumulate(np.where(fresh, places, 0))
    if rank.max(initial=0) >= DAY - 1:
        user = events.user_names[users[int(rank.argmax())]]
        raise UserError(f"user {user!r} has more than {DAY - 1:,} purchases on one day; leave that user out")
    spread = np.empty(len(order), dtype=np.float64)
    spread[order] = seconds + rank
    return SourceEvents(events.user_names, events.item_names, events.users, events.items, events.purchases, spread)
