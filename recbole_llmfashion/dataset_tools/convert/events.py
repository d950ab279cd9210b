"""Item actions stored as numbers: 17 bytes per row, and each user's and item's name once.

Memory grows with users, items and rows, not with the text of a log.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CHUNK_ROWS = 65_536
Row = tuple[str, str, bool, float]  # user, item, whether it is a purchase, seconds


@dataclass(frozen=True)
class EventChunk:
    """Consecutive rows of a log.

    Args:
        users, items: [n] str.
        purchases: [n] bool, True for purchases, False for clicks.
        seconds: [n] float64.
    """

    users: NDArray[np.object_]
    items: NDArray[np.object_]
    purchases: NDArray[np.bool_]
    seconds: NDArray[np.float64]


def chunks_of(rows: Iterable[Row]) -> Iterator[EventChunk]:
    """Rows in chunks of CHUNK_ROWS."""
    left = iter(rows)
    while part := list(islice(left, CHUNK_ROWS)):
        users, items, purchases, seconds = zip(*part, strict=True)
        yield EventChunk(
            np.array(users, dtype=object),
            np.array(items, dtype=object),
            np.array(purchases, dtype=bool),
            np.array(seconds, dtype=float),
        )


@dataclass(frozen=True)
class SourceEvents:
    """A log in file order.

    Args:
        user_names, item_names: names by code.
        users, items: [n] int32 codes.
        purchases: [n] bool, True for purchases, False for clicks.
        seconds: [n] float64.
    """

    user_names: NDArray[np.object_]
    item_names: NDArray[np.object_]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    purchases: NDArray[np.bool_]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.users)

    def keep(self, rows: NDArray[np.bool_]) -> "SourceEvents":
        """The rows selected by a mask [n]; names keep their codes."""
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            purchases=self.purchases[rows],
            seconds=self.seconds[rows],
        )

    def items_seen(self) -> list[str]:
        """Names of the items that occur, in the order of their codes."""
        return self.item_names[np.unique(self.items)].tolist()

    def frame(self) -> pd.DataFrame:
        """The interactions frame of an AtomicFolder: user_id, item_id, action, timestamp."""
        return pd.DataFrame(
            {
                "user_id": self.user_names[self.users],
                "item_id": self.item_names[self.items],
                "action": np.array(["click", "purchase"], dtype=object)[self.purchases.astype(np.int8)],
                "timestamp": self.seconds,
            }
        )


class _Names:
    """Codes for names, from 0, in the order of their first occurrence."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def encode(self, names: NDArray[np.object_]) -> NDArray[np.int32]:
        local, distinct = pd.factorize(names)
        table = self._codes
        codes = np.fromiter((table.setdefault(name, len(table)) for name in distinct), np.int32, len(distinct))
        return codes[local]

    def array(self) -> NDArray[np.object_]:
        return np.array(list(self._codes), dtype=object)


def gather(chunks: Iterable[EventChunk], since: float, until: float) -> tuple[SourceEvents, int]:
    """Read a stream of chunks to its end.

    Args:
        chunks: the stream.
        since, until: seconds; only rows with since <= time < until are kept.

    Returns:
        (the events, number of rows left out).
    """
    users, items = _Names(), _Names()
    parts: list[tuple[NDArray, ...]] = []
    outside = 0
    for chunk in chunks:
        inside = (chunk.seconds >= since) & (chunk.seconds < until)
        outside += int((~inside).sum())
        coded = users.encode(chunk.users[inside]), items.encode(chunk.items[inside])
        parts.append((*coded, chunk.purchases[inside], chunk.seconds[inside]))
    kinds = (np.int32, np.int32, np.bool_, np.float64)
    columns = [np.concatenate([np.empty(0, kind), *(part[i] for part in parts)]) for i, kind in enumerate(kinds)]
    return SourceEvents(users.array(), items.array(), *columns), outside
