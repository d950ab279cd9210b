"""Whether the order of a log can be that of time: sequences sorted by item id, neighbours with equal timestamps.

Leave-one-out predicts the last item of each sequence. Where a source has sorted the items of a customer by their id,
the last item is the largest id; where most neighbours share a timestamp, it is whatever the file had last. One wrong
timestamp of 1970 makes dates an order. None of this is an error, so it is counted. Imports neither torch nor RecBole.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.data.split import user_starts
from recbole_llmfashion.data.timeline import ORDER_ONLY_BELOW

LEAST_ACTIONS = 3  # of a customer: shorter sequences are sorted by chance
MOST_EQUAL_TIMES = 0.2  # share of neighbours
DAY = 86_400
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class TimeOrder:
    """Figures that show whether the order of a log can be that of time.

    The first four are those of customers with three or more actions.

    Args:
        customers: number of these customers.
        sorted_by_item: share of them whose items are in ascending or descending order of item id, read as text or with
            its numbers as numbers, whichever is more.
        sorted_by_chance: the share that a random order of the same items gives.
        equal_times: share of neighbouring actions of one customer with the same timestamp; rows that `convert` numbered
            within a day share it.
        before_1973: share of all timestamps that are too small for a date, where others are dates; 0 where all are
            dates or all give an order.
    """

    customers: int
    sorted_by_item: float
    sorted_by_chance: float
    equal_times: float
    before_1973: float = 0.0

    @property
    def sorted_limit(self) -> float:
        """The share of sorted sequences above which the order cannot be trusted."""
        return 2 * self.sorted_by_chance + 0.05

    def warnings(self) -> list[str]:
        """One line for each reason why the last item of a sequence may not be the latest, or why dates do not count."""
        lines = []
        if self.sorted_by_item > self.sorted_limit:
            lines.append(
                f"warning: {self.sorted_by_item:.1%} of the customers have their items in the order of item ids "
                f"(chance: {self.sorted_by_chance:.1%}); the order is not that of time, and the next item means little"
            )
        if self.equal_times > MOST_EQUAL_TIMES:
            lines.append(
                f"warning: {self.equal_times:.1%} of neighbouring actions share a timestamp; "
                "their order is that of the source's rows, and the next item means less"
            )
        if self.before_1973:
            share = f"{self.before_1973:.1%}" if self.before_1973 >= 0.001 else "less than 0.1%"
            lines.append(
                f"warning: {share} of the timestamps are before 1973 and the others are dates; all of them then count "
                "as an order only (no dates in prompts, no time split); correct or remove these rows"
            )
        return lines

    def lines(self) -> list[str]:
        """Both figures as a line of text, and the warnings."""
        return [
            f"sequences sorted by item id: {self.sorted_by_item:.1%} (chance: {self.sorted_by_chance:.1%}); neighbours "
            f"with equal timestamps: {self.equal_times:.1%} ({self.customers:,} customers with three or more actions)",
            *self.warnings(),
        ]

    def entry(self) -> dict[str, Any]:
        """The figures for results.json; one wrong time of many is not rounded away."""
        figures = {name: round(value, 6) for name, value in asdict(self).items()}
        return figures | {"before_1973": float(f"{self.before_1973:.6g}")}


def time_order(interactions: pd.DataFrame) -> TimeOrder:
    """Count a log.

    Args:
        interactions: user_id, item_id, timestamp; one user's rows together, in their order.

    >>> rows = [("u", "a", 1.0), ("u", "b", 1.0), ("u", "c", 2.0)]
    >>> order = time_order(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    >>> order.customers, order.sorted_by_item, round(order.sorted_by_chance, 4), order.equal_times
    (1, 1.0, 0.3333, 0.5)
    """
    before_1973 = _share_before_1973(interactions["timestamp"].to_numpy(np.float64))
    users = pd.factorize(interactions["user_id"])[0]
    long = np.bincount(users, minlength=1)[users] >= LEAST_ACTIONS
    users = pd.factorize(users[long])[0]
    items, names = pd.factorize(interactions["item_id"][long])
    times = interactions["timestamp"].to_numpy(np.float64)[long]
    customers = int(users.max(initial=-1)) + 1
    by_item, by_chance = _sorted_shares(users, items, names.astype(str).tolist())
    return TimeOrder(customers, by_item, by_chance, _equal_share(users, times), before_1973)


def _share_before_1973(times: NDArray[Any]) -> float:
    """Share of timestamps that are no dates, where others are; data/dataset.py takes all for an order then."""
    share = float((times < ORDER_ONLY_BELOW).mean()) if len(times) else 0.0
    return share if share < 1 else 0.0


def _equal_share(users: NDArray[Any], times: NDArray[Any]) -> float:
    """Share of neighbours of one user with equal times, or numbered within a day by `convert`."""
    same_user = users[1:] == users[:-1]
    if not same_user.any():
        return 0.0
    equal = times[1:] == times[:-1]
    # filters.spread_days writes the n rows of a user's day as its first seconds, 0 to n - 1
    day = np.floor(times / DAY)
    starts = np.ones(len(times), bool)
    starts[1:] = ~same_user | (day[1:] != day[:-1])
    index = np.arange(len(times))
    rank = index - np.maximum.accumulate(np.where(starts, index, 0))
    numbered = (times >= ORDER_ONLY_BELOW) & (times == day * DAY + rank)
    equal |= ~starts[1:] & numbered[1:] & numbered[:-1]
    return float(equal[same_user].mean())


def _sorted_shares(users: NDArray[Any], items: NDArray[Any], names: list[str]) -> tuple[float, float]:
    """(share of users with sorted items, share that chance gives).

    An immediate repeat of an item counts once; a user with fewer than three changing items is left out,
    since two are always sorted.
    """
    changed = np.ones(len(users), bool)
    changed[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    users, items = users[changed], items[changed]
    long = np.bincount(users, minlength=1)[users] >= LEAST_ACTIONS if len(users) else np.zeros(0, bool)
    users, items = pd.factorize(users[long])[0], items[long]
    if not len(users):
        return 0.0, 0.0
    by_text = _ranks(names, names)
    by_number = _ranks(names, [_natural(name) for name in names])
    share = max(_share_sorted(users, ranks[items]) for ranks in (by_text, by_number))
    return share, _chance(users, items)


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key of an id in which runs of digits count as numbers."""
    parts = _NUMBERS.split(name)
    return tuple((0, int(part), "") if place % 2 else (1, 0, part) for place, part in enumerate(parts) if part)


def _ranks(names: list[str], keys: list[Any]) -> NDArray[np.int64]:
    """[items] place of each item in the order of the keys."""
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    return ranks


def _share_sorted(users: NDArray[Any], ranks: NDArray[np.int64]) -> float:
    """Share of users whose ranks ascend or descend throughout."""
    inside = users[1:] == users[:-1]
    up, down = ranks[1:] > ranks[:-1], ranks[1:] < ranks[:-1]
    n_users = int(users[-1]) + 1
    broken_up = np.bincount(users[1:][inside & ~up], minlength=n_users) > 0
    broken_down = np.bincount(users[1:][inside & ~down], minlength=n_users) > 0
    return float((~broken_up | ~broken_down).mean())


def _chance(users: NDArray[Any], items: NDArray[Any]) -> float:
    """Mean over users of 2 x (product of m! over the items that occur m times) / n!, at most 1."""
    lengths = np.diff(np.r_[user_starts(users), len(users)])
    log_factorial = np.r_[0.0, np.cumsum(np.log(np.arange(1, lengths.max() + 1)))]
    pairs = np.unique(users.astype(np.int64) * (int(items.max()) + 1) + items, return_counts=True)
    repeats = np.bincount(pairs[0] // (int(items.max()) + 1), weights=log_factorial[pairs[1]], minlength=len(lengths))
    return float(np.minimum(1.0, np.exp(np.log(2) + repeats - log_factorial[lengths])).mean())
