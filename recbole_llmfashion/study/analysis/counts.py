"""Table 1 and C2: how many users, items and interactions, and how long the sequences are.

Interactions are item actions after the paper's click filter, as docs/method.md reads Table 1. Knows no dates.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic import AtomicFolder
from recbole_llmfashion.data.split import click_filter_mask

BIN_STARTS = (1, 3, 5, 8, 12, 17, 25, 40)
BIN_LABELS = ("1-2", "3-4", "5-7", "8-11", "12-16", "17-24", "25-39", "40 +")


@dataclass(frozen=True)
class Counts:
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


def sequence_lengths(interactions: pd.DataFrame) -> np.ndarray:
    """[users] item actions after the paper's click filter, in order of the users' first rows; at least 1 each."""
    users = pd.factorize(interactions["user_id"])[0]
    items = pd.factorize(interactions["item_id"])[0]
    purchase = (interactions["action"] == "purchase").to_numpy()
    keep = click_filter_mask(users, items, purchase, np.ones(len(users), bool))
    return np.bincount(users[keep], minlength=users.max(initial=-1) + 1)


def counts(folder: AtomicFolder, lengths: np.ndarray) -> Counts:
    """Table 1's numbers; `lengths` are `sequence_lengths`."""
    return Counts(len(lengths), len(folder.items), int(lengths.sum()))


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
