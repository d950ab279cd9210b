"""Filters of events: a range of days, repeated rows, the k-core; and an order within days for logs without hours."""

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.convert.events import SourceEvents
from recbole_llmfashion.errors import UserError

DAY = 86_400


def day_range(since: str | None, until: str | None) -> tuple[float, float]:
    """Seconds of the range of two ISO days (UTC), both included.

    Args:
        since, until: first and last day; None for no limit.

    Returns:
        (first second, first second after the range).

    Raises:
        UserError: a text is not a day, or `since` is after `until`.

    >>> day_range("1970-01-02", "1970-01-02")
    (86400.0, 172800.0)
    """
    first = -np.inf if since is None else _day(since, "--since")
    beyond = np.inf if until is None else _day(until, "--until") + DAY
    if first >= beyond:
        raise UserError(f"--since: expected a day not after --until {until}, found {since}; swap them")
    return first, beyond


def _day(text: str, flag: str) -> float:
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)) / timedelta(seconds=1)
    except ValueError:
        raise UserError(f"{flag}: expected a day such as 2021-12-31, found {text!r}") from None


def repeats(events: SourceEvents) -> NDArray[np.bool_]:
    """[n] bool, True for rows with the user, item, action and time of an earlier row."""
    if not len(events):
        return np.zeros(0, dtype=bool)
    columns = (events.users, events.items, events.purchases, events.seconds)
    # lexsort is stable, so the first of equal rows in file order comes first
    order = np.lexsort(columns)
    same = np.ones(len(events), dtype=bool)
    for column in columns:
        ordered = column[order]
        same[1:] &= ordered[1:] == ordered[:-1]
    same[0] = False
    repeated = np.empty(len(events), dtype=bool)
    repeated[order] = same
    return repeated


def repeats_kept(n: int) -> list[str]:
    """A warning about rows that repeat an earlier one and stay; none if there are none."""
    return [f"warning: {n:,} rows repeat an earlier one (same user, item, action and time) and are kept"] if n else []


def in_core(events: SourceEvents, k: int) -> NDArray[np.bool_]:
    """[n] bool, the k-core: the largest set of rows in which each user and each item has at least k rows."""
    rows = np.ones(len(events), dtype=bool)
    while True:
        few = np.zeros(len(events), dtype=bool)
        for codes in (events.users, events.items):
            few |= (np.bincount(codes[rows], minlength=int(codes.max(initial=-1)) + 1) < k)[codes]
        if not (few & rows).any():
            return rows
        rows &= ~few


def spread_days(events: SourceEvents) -> SourceEvents:
    """Number a user's rows of one day in file order: the day's times become its first seconds, 0, 1, 2, ..

    Raises:
        UserError: a user has more rows on a day than it has seconds; the last second is reserved for searches.
    """
    order = np.lexsort((events.seconds, events.users))
    users, seconds = events.users[order], events.seconds[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (users[1:] != users[:-1]) | (seconds[1:] != seconds[:-1])
    index = np.arange(len(order))
    rank = index - np.maximum.accumulate(np.where(is_first, index, 0))
    if rank.max(initial=0) >= DAY - 1:
        user = events.user_names[users[int(rank.argmax())]]
        raise UserError(f"user {user!r} has more than {DAY - 1:,} purchases on one day; leave that user out")
    spread = np.empty(len(order), dtype=np.float64)
    spread[order] = seconds + rank
    return SourceEvents(events.user_names, events.item_names, events.users, events.items, events.purchases, spread)
