"""Query-product memory: the products of similar queries in the training log (paper, section 4.2).

Keys are the distinct queries after lower-casing and white-space normalization, as unit vectors. For a query, the
nearest keys by cosine are found and their top products merged. The products of a key are ordered by mean organic
position, then by count; if the log has no positions, by the count of clicks and purchases after the query.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.embedding.flat_index import FlatIndex
from recbole_llmfashion.embedding.query_title_pairs import normalize_text


@dataclass(frozen=True)
class MemoryLog:
    """The products that training searches showed or led to, one row per product.

    Args:
        search: [n] index of the search event.
        query: [n] index of its query text.
        item: [n] catalogue position.
        position: [n] organic position from 0; all 0 if the log has no positions.
    """

    search: np.ndarray
    query: np.ndarray
    item: np.ndarray
    position: np.ndarray

    def only(self, keep: np.ndarray) -> "MemoryLog":
        """The log without the rows where `keep`, [n] bool, is false."""
        return MemoryLog(self.search[keep], self.query[keep], self.item[keep], self.position[keep])

    def askers(self, queries: Sequence[str], users: np.ndarray) -> np.ndarray:
        """[n] for each row, the number of users who searched for its query; spellings of one key count together.

        Args:
            queries: query texts by query index.
            users: user by search event.
        """
        if not len(self.query):
            return np.zeros(0, np.int64)
        used, row = np.unique(self.query, return_inverse=True)
        keys: dict[str, int] = {}
        key = np.asarray([keys.setdefault(normalize_text(queries[query]), len(keys)) for query in used])[row]
        pairs = np.unique(np.stack([key, users[self.search]]), axis=1)  # a user who repeats a query counts once
        return np.bincount(pairs[0])[key]


class QueryProductMemory:
    """The memory of a training log.

    Args:
        log: rows of training searches.
        queries: query texts by query index.
        encode: texts to unit vectors; CLIP in the paper.
        neighbors: number of nearest keys that are merged.
        products: number of products returned.
        tie_rank: [N] fixed order of items with equal position and count.

    Attributes:
        keys: distinct normalized queries, sorted.
        key_vectors: [K, d] their vectors.
    """

    def __init__(
        self,
        log: MemoryLog,
        queries: Sequence[str],
        encode: Callable[[Sequence[str]], np.ndarray],
        neighbors: int,
        products: int,
        tie_rank: np.ndarray,
    ) -> None:
        self._encode, self._neighbors, self._products, self._tie = encode, neighbors, products, tie_rank
        used = np.unique(log.query)
        texts = [normalize_text(queries[query]) for query in used]
        self.keys = sorted(set(texts))
        key_index = {text: i for i, text in enumerate(self.keys)}
        key_of_query = np.full(len(queries), -1, np.int64)
        key_of_query[used] = [key_index[text] for text in texts]
        key = key_of_query[log.query]
        order = np.argsort(key, kind="stable")
        self._search, self._item = log.search[order], log.item[order]
        self._position = log.position[order].astype(np.float64)
        self._start = np.searchsorted(key[order], np.arange(len(self.keys) + 1))
        self.key_vectors = encode(self.keys) if self.keys else np.zeros((0, 0), np.float32)
        self._index = FlatIndex(self.key_vectors) if self.keys else None
        self._nearest: dict[str, np.ndarray] = {}
        self._ranked: dict[tuple[int, int], np.ndarray] = {}

    def prepare(self, queries: Sequence[str]) -> None:
        """Encodes queries and finds their nearest keys in one batch; `top_products` would do this one by one."""
        keys = sorted({normalize_text(query) for query in queries} - self._nearest.keys())
        if keys and self._index is not None:
            # one more than needed: without the search that is left out a key may have no products
            ids = self._index.search(self._encode(keys), self._neighbors + 1)[1]
            self._nearest.update(zip(keys, ids, strict=True))

    def knows(self, query: str) -> bool:
        """Whether the log has exactly this query after normalization."""
        at = bisect_left(self.keys, normalize_text(query))
        return at < len(self.keys) and self.keys[at] == normalize_text(query)

    def forget(self, above: int) -> None:
        """Clears the cache of nearest keys if it holds more queries than `above`."""
        if len(self._nearest) > above:
            self._nearest.clear()

    def top_products(self, query: str, leave_out: int = -1) -> list[int]:
        """Catalogue positions of the products for a query, best first, at most `products`.

        The lists of the nearest keys are interleaved: every key's first product, then every key's second, and so on.

        Args:
            query: text as typed.
            leave_out: index of a search event whose results are ignored, -1 for none. Training prompts leave out their
                own search; otherwise they would contain exact matches, which a new search does not have.
        """
        if self._index is None or not self._products:
            return []
        self.prepare([query])
        lists = [self._products_of(int(key), leave_out) for key in self._nearest[normalize_text(query)]]
        lists = [items for items in lists if len(items)][: self._neighbors]
        merged: dict[int, None] = {}
        for depth in range(max(map(len, lists), default=0)):
            for items in lists:
                if depth < len(items):
                    merged.setdefault(int(items[depth]))
                    if len(merged) == self._products:
                        return list(merged)
        return list(merged)

    def _products_of(self, key: int, leave_out: int) -> np.ndarray:
        rows = slice(self._start[key], self._start[key + 1])
        if leave_out >= 0 and not np.any(self._search[rows] == leave_out):
            leave_out = -1
        if (key, leave_out) not in self._ranked:
            keep = self._search[rows] != leave_out
            items, inverse, counts = np.unique(self._item[rows][keep], return_inverse=True, return_counts=True)
            mean = np.bincount(inverse, self._position[rows][keep], len(items)) / np.maximum(counts, 1)
            best = np.lexsort((self._tie[items], -counts, mean))[: self._products]
            self._ranked[key, leave_out] = items[best]
        return self._ranked[key, leave_out]


def make_memory(
    log: MemoryLog,
    queries: Sequence[str],
    encode: Callable[[Sequence[str]], np.ndarray] | None,
    neighbors: int,
    products: int,
    tie_rank: np.ndarray,
    live: np.ndarray | None = None,
) -> QueryProductMemory | None:
    """The memory of the items that may be recommended; None where there is no encoder, or nothing to remember.

    Args:
        live: [N] bool, the items that may be recommended; None for all.
        log, queries, encode, neighbors, products, tie_rank: see QueryProductMemory.
    """
    if live is not None:
        log = log.only(live[log.item])
    if encode is None or not len(log.search):
        return None
    return QueryProductMemory(log, queries, encode, neighbors, products, tie_rank)
