"""Table 1 and C2: numbers of users, items and interactions, and the lengths of the sequences.

Interactions are item actions after the paper's click filter, see docs/method.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.atomic.time_order import TimeOrder, time_order

BIN_STARTS = (1, 3, 5, 8, 12, 17, 25, 40)
BIN_LABELS = ("1-2", "3-4", "5-7", "8-11", "12-16", "17-24", "25-39", "40 +")


@dataclass(frozen=True)
class DatasetCounts:
    """A row of Table 1.

    Example:
        >>> DatasetCounts(users=10, items=50, interactions=100).mean_length
        10.0
    """

    users: int
    items: int
    interactions: int

    @property
    def mean_length(self) -> float:
        """Interactions per user."""
        return self.interactions / self.users

    @property
    def per_item(self) -> float:
        """Interactions per item of the catalogue, including items without interactions."""
        return self.interactions / self.items

    @property
    def density(self) -> float:
        """Interactions per pair of a user and an item of the catalogue."""
        return self.interactions / (self.users * self.items)


@dataclass(frozen=True)
class Lengths:
    """Interactions per user.

    Args:
        mean: mean after the click filter.
        lower: lower quartile.
        median: median.
        upper: upper quartile.
        all_clicks: mean without the click filter.
        shares: share of the users in each bin of BIN_LABELS.
    """

    mean: float
    lower: float
    median: float
    upper: float
    all_clicks: float
    shares: tuple[float, ...]


def counts(folder: AtomicFolder, lengths: np.ndarray) -> DatasetCounts:
    """The counts of Table 1.

    Args:
        folder: the atomic files.
        lengths: [users] interactions per user, see `data.split.sequence_lengths`.
    """
    return DatasetCounts(len(lengths), len(folder.items), int(lengths.sum()))


def length_statistics(lengths: np.ndarray, rows: int) -> Lengths:
    """The statistics of C2.

    Args:
        lengths: [users] interactions per user, at least 1.
        rows: number of item actions before the click filter.
    """
    lower, median, upper = np.quantile(lengths, (0.25, 0.5, 0.75))
    bins = np.searchsorted(BIN_STARTS, lengths, side="right") - 1
    shares = np.bincount(bins, minlength=len(BIN_STARTS)) / len(lengths)
    return Lengths(
        float(lengths.mean()), float(lower), float(median), float(upper), rows / len(lengths), tuple(shares.tolist())
    )


def facts(files: AtomicFolder, sha256: str) -> dict[str, Any]:
    """A dataset's entry in Document.data: the digest of the files, their counts, and what their order can be."""
    return {
        "sha256": sha256,
        "users": int(files.interactions["user_id"].nunique()),
        "items": len(files.items),
        "item actions": len(files.interactions),
        "purchases": int((files.interactions["action"] == "purchase").sum()),
        "searches": len(files.searches),
        "time_order": time_order(files.interactions).entry(),
    }


def order_notes(data: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The warnings about the order of each dataset, for the notes of a document.

    Args:
        data: `facts` by name of the dataset.
    """
    return [f"{name}: {line}" for name, entry in data.items() for line in TimeOrder(**entry["time_order"]).warnings()]
