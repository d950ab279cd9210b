"""Table 1 and C2: how many users, items and interactions, and how long the sequences are.

Interactions are item actions after the paper's click filter, as docs/method.md reads Table 1. Knows no dates.
"""

from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.data.atomic.folder import AtomicFolder

BIN_STARTS = (1, 3, 5, 8, 12, 17, 25, 40)
BIN_LABELS = ("1-2", "3-4", "5-7", "8-11", "12-16", "17-24", "25-39", "40 +")


@dataclass(frozen=True)
class DatasetCounts:
    """A line of Table 1."""

    users: int
    items: int
    interactions: int

    @property
    def mean_length(self) -> float:
        """Interactions a user."""
        return self.interactions / self.users

    @property
    def per_item(self) -> float:
        """Interactions an item of the catalogue, seen or not."""
        return self.interactions / self.items


@dataclass(frozen=True)
class Lengths:
    """Interactions of a user: mean and quartiles after the click filter, the mean with all clicks, shares by bin."""

    mean: float
    lower: float
    median: float
    upper: float
    all_clicks: float
    shares: tuple[float, ...]


def counts(folder: AtomicFolder, lengths: np.ndarray) -> DatasetCounts:
    """Table 1's numbers; `lengths` are data.split's `sequence_lengths`."""
    return DatasetCounts(len(lengths), len(folder.items), int(lengths.sum()))


def length_statistics(lengths: np.ndarray, rows: int) -> Lengths:
    """C2's numbers.

    Args:
        lengths: [users], at least 1 each.
        rows: item actions before the click filter.
    """
    lower, median, upper = np.quantile(lengths, (0.25, 0.5, 0.75))
    bins = np.searchsorted(BIN_STARTS, lengths, side="right") - 1
    shares = np.bincount(bins, minlength=len(BIN_STARTS)) / len(lengths)
    return Lengths(
        float(lengths.mean()), float(lower), float(median), float(upper), rows / len(lengths), tuple(shares.tolist())
    )


def facts(files: AtomicFolder, sha256: str) -> dict[str, str | int]:
    """A dataset's entry in Document.data: the digest of the files and their counts."""
    return {
        "sha256": sha256,
        "users": int(files.interactions["user_id"].nunique()),
        "items": len(files.items),
        "item actions": len(files.interactions),
        "purchases": int((files.interactions["action"] == "purchase").sum()),
        "searches": len(files.searches),
    }
