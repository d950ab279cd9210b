"""(query, title) pairs as ids, and which of all combinations are positives; knows no model and no item ids.

Queries and titles that are equal after lower-casing and white-space folding are one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def normalize_text(text: str) -> str:
    """Lower case, runs of white space to one blank, none at the ends."""
    return " ".join(text.lower().split())


@dataclass(frozen=True)
class PairTable:
    """Distinct texts and the pairs among them; build it with `from_pairs`.

    Args:
        queries, titles: distinct folded texts, in order of first appearance.
        query_ids, title_ids: [P] int64, one entry a pair, repeats kept: a frequent pair weighs more.
        positive_keys: sorted distinct query id * number of titles + title id.
    """

    queries: tuple[str, ...]
    titles: tuple[str, ...]
    query_ids: np.ndarray
    title_ids: np.ndarray
    positive_keys: np.ndarray

    @classmethod
    def from_pairs(cls, pairs: Sequence[tuple[str, str]], catalogue: Sequence[str] = ()) -> "PairTable":
        """Number the texts of the pairs; titles of the catalogue without a pair follow."""
        queries: dict[str, int] = {}
        titles: dict[str, int] = {}
        query_ids = np.array([queries.setdefault(normalize_text(q), len(queries)) for q, _ in pairs], np.int64)
        title_ids = np.array([titles.setdefault(normalize_text(t), len(titles)) for _, t in pairs], np.int64)
        for title in catalogue:
            titles.setdefault(normalize_text(title), len(titles))
        keys = np.unique(query_ids * len(titles) + title_ids)
        return cls(tuple(queries), tuple(titles), query_ids, title_ids, keys)

    def __len__(self) -> int:
        return len(self.query_ids)

    def is_positive(self, query_ids: np.ndarray, title_ids: np.ndarray) -> np.ndarray:
        """Which (query, title) combinations are pairs; the arguments broadcast.

        Returns:
            bool, of the broadcast shape.
        """
        keys = query_ids * len(self.titles) + title_ids
        at = np.minimum(np.searchsorted(self.positive_keys, keys), len(self.positive_keys) - 1)
        return self.positive_keys[at] == keys

    def positives_per_query(self) -> np.ndarray:
        """[queries] distinct titles paired with each query."""
        return np.bincount(self.positive_keys // len(self.titles), minlength=len(self.queries))

    def positives_per_title(self) -> np.ndarray:
        """[titles] distinct queries paired with each title."""
        return np.bincount(self.positive_keys % len(self.titles), minlength=len(self.titles))
