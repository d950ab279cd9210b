"""Item actions as they stream in, kept as numbers: one row is 17 bytes, each user's and item's name is held once.

Knows ids, actions and times. Does NOT know sources, files or item text. Memory grows with users, items and rows kept,
never with the text of a log.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class EventChunk:
    """Rows of a log in file order: users, items [n] str; purchases [n] bool (else clicks); seconds [n] float64."""

    users: NDArray[np.object_]
    items: NDArray[np.object_]
    purchases: NDArray[np.bool_]
    seconds: NDArray[np.float64]


@dataclass(frozen=True)
class SourceEvents:
    """A log in file order.

    user_names, item_names: by code; users, items: [n] int32 codes; purchases: [n] bool; seconds: [n] float64.
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
        """The rows of a mask; names keep their codes."""
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            purchases=self.purchases[rows],
            seconds=self.seconds[rows],
        )

    def items_seen(self) -> list[str]:
        """The names of the items that occur, by code."""
        return self.item_names[np.unique(self.items)].tolist()

    def frame(self) -> pd.DataFrame:
        """user_id, item_id, action, timestamp, as AtomicFolder has them."""
        return pd.DataFrame(
            {
                "user_id": self.user_names[self.users],
                "item_id": self.item_names[self.items],
                "action": np.array(["click", "purchase"], dtype=object)[self.purchases.astype(np.int8)],
                "timestamp": self.seconds,
            }
        )


class _Names:
    """Codes for names, from 0, in order of first appearance."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def encode(self, names: NDArray[np.object_]) -> NDArray[np.int32]:
        local, distinct = pd.factorize(names)
        known = self._codes
        codes = np.fromiter((known.setdefault(name, len(known)) for name in distinct), np.int32, len(distinct))
        return codes[local]

    def array(self) -> NDArray[np.object_]:
        return np.array(list(self._codes), dtype=object)


def gather(chunks: Iterable[EventChunk], since: float, until: float) -> tuple[SourceEvents, int]:
    """Read a stream to its end.

    Args:
        since, until: seconds; rows before the one, or not before the other, are left out as they come.

    Returns:
        the events, and how many were left out.
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
