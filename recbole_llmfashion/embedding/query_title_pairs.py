"""(query, title) pairs as ids, and which combinations of a query and a title are positives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def normalize_text(text: str) -> str:
    """Lower-case a text, replace runs of white space by one space and strip it.

    >>> normalize_text("  Red\\tWinter  BOOTS ")
    'red winter boots'
    """
    return " ".join(text.lower().split())


@dataclass(frozen=True)
class PairTable:
    """Distinct texts and the pairs among them; create it with `from_pairs`.

    Args:
        queries, titles: distinct normalized texts, in the order of their first occurrence.
        query_ids, title_ids: [P] int64, the texts of each pair; repeated pairs are kept, so they weigh more.
        positive_keys: sorted distinct values of query id * number of titles + title id.

    >>> table = PairTable.from_pairs([("boots", "Red Boots"), ("bag", "Blue Bag"), ("Boots", "red boots")])
    >>> table.queries, table.query_ids.tolist(), table.title_ids.tolist()
    (('boots', 'bag'), [0, 1, 0], [0, 1, 0])
    >>> table.is_positive(np.array([0, 0]), np.array([0, 1])).tolist()
    [True, False]
    """

    queries: tuple[str, ...]
    titles: tuple[str, ...]
    query_ids: np.ndarray
    title_ids: np.ndarray
    positive_keys: np.ndarray

    @classmethod
    def from_pairs(cls, pairs: Sequence[tuple[str, str]], catalogue: Sequence[str] = ()) -> "PairTable":
        """Number the normalized texts of the pairs.

        Args:
            pairs: (query, title).
            catalogue: further titles, which are numbered after those of the pairs.
        """
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
        """Whether a query and a title are a pair; the arguments broadcast.

        Returns:
            bool, of the broadcast shape.
        """
        keys = query_ids * len(self.titles) + title_ids
        index = np.minimum(np.searchsorted(self.positive_keys, keys), len(self.positive_keys) - 1)
        return self.positive_keys[index] == keys

    def positives_per_query(self) -> np.ndarray:
        """[queries] number of distinct titles paired with each query."""
        return np.bincount(self.positive_keys // len(self.titles), minlength=len(self.queries))

    def positives_per_title(self) -> np.ndarray:
        """[titles] number of distinct queries paired with each title."""
        return np.bincount(self.positive_keys % len(self.titles), minlength=len(self.titles))
