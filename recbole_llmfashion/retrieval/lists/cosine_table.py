"""A table of item vectors that ranks the items by cosine similarity to query vectors."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.scored_order import DEPTH, TILE, ScoredOrder
from recbole_llmfashion.retrieval.ties import best_first

# approximate search: ([b, d] unit queries, k) -> [b, k] rows near each query, -1 if fewer are found
Search = Callable[[np.ndarray, int], np.ndarray]
# [D, d] distinct unit rows -> a search over them, or None for an exhaustive search
Near = Callable[[np.ndarray], Search | None]
_PAIR_FLOATS = 2**24  # most floats of a block of (query, item) pairs that are scored one by one


class CosineTable:
    """N items by their vectors; a `ScoreTable`.

    Args:
        vectors: [N, d] float, one row per item; a row of zeros has cosine 0 with every query.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        near: builds an approximate search over the distinct rows; None for an exhaustive search.

    Attributes:
        width: d.
        tie, items, columns: see `ScoreTable`.

    >>> table = CosineTable(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]), tie=np.array([0, 1, 2]))
    >>> table.rank(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).top(3).tolist()
    [[0, 2, 1], [1, 2, 0]]
    """

    def __init__(self, vectors: np.ndarray, tie: np.ndarray, near: Near | None = None) -> None:
        if len(vectors) != len(tie):
            raise ValueError(f"{len(vectors)} rows but {len(tie)} tie ranks")
        # equal rows must have equal scores, which a matrix product over all rows does not guarantee
        distinct, row = distinct_rows(vectors)
        self.distinct = normalize(torch.from_numpy(distinct), dim=1)
        self.width = self.distinct.shape[1]
        self._row = torch.from_numpy(row)
        self.tie = torch.from_numpy(np.asarray(tie, np.int64))
        # the items of one distinct row occupy consecutive columns, by tie rank
        self.items = torch.from_numpy(np.lexsort((self.tie.numpy(), row)))
        self.columns = torch.empty_like(self.items).scatter_(0, self.items, torch.arange(len(row)))
        self._first = torch.from_numpy(np.searchsorted(row[self.items.numpy()], np.arange(len(distinct) + 1)))
        # a tile has about TILE items and always all items of a distinct row
        cuts = np.searchsorted(self._first.numpy(), np.arange(0, len(row), TILE))
        self._tiles = list(pairwise(np.unique([*cuts, len(distinct)]).tolist()))
        self._search = None if near is None else near(self.distinct.numpy())

    def vectors(self, items: Tensor) -> Tensor:
        """[B, d] unit rows of item positions [B]."""
        return self.distinct[self._row[items]]

    def rank(self, queries: Tensor, first: Tensor | None = None) -> ItemOrder:
        """[B, N] items by descending cosine, equal cosines by tie rank.

        With an approximate search the items that it finds come before all others.

        Args:
            queries: [B, d] float32 of any length.
            first: [B] int64 positions of items that come first whatever their cosine.
        """
        order: ItemOrder = ScoredOrder(self, queries)
        if self._search is not None:
            order = HeadThenRest(self._approximate_head(queries), order)
        return order if first is None else HeadThenRest(first[:, None], order)

    def _approximate_head(self, queries: Tensor) -> Tensor:
        """[B, DEPTH] items that the approximate search finds, in exact order; -1 behind them if there are fewer."""
        assert self._search is not None
        rows = torch.from_numpy(self._search(normalize(queries, dim=1).numpy(), DEPTH))
        first = self._first[rows.clamp(min=0)]
        scores = (self.distinct[rows.clamp(min=0)] * queries[:, None]).sum(dim=2).masked_fill(rows < 0, -torch.inf)
        scores, order = scores.sort(dim=1, descending=True)
        first = first.gather(1, order)
        counts = torch.where(scores == -torch.inf, 0, self._first[rows.clamp(min=0) + 1].gather(1, order) - first)
        ends = counts.cumsum(dim=1)
        slots = torch.arange(DEPTH).expand(len(rows), -1).contiguous()
        row = torch.searchsorted(ends, slots, right=True).clamp(max=rows.shape[1] - 1)
        columns = (first + counts - ends).gather(1, row) + slots
        items = self.items[columns.clamp(max=len(self.items) - 1)]
        best = best_first(scores.gather(1, row), self.tie[items])
        return torch.where(slots < ends[:, -1:], items, -1).gather(1, best)

    def tiles(self, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
        """See ScoreTable; equal rows are in the same tile."""
        for start, stop in self._tiles:
            rows = slice(start, stop)
            begin, end = int(self._first[rows.start]), int(self._first[rows.stop])
            scores = queries @ self.distinct[rows].T
            if end - begin > rows.stop - rows.start:
                scores = scores[:, self._row[self.items[begin:end]] - rows.start]
            yield begin, scores

    def score(self, queries: Tensor, items: Tensor) -> Tensor:
        """See ScoreTable; equal rows have equal scores to the last bit."""
        scores = torch.empty(items.shape)
        step = max(1, _PAIR_FLOATS // max(1, items.shape[1] * self.width))
        for start in range(0, len(items), step):
            part = slice(start, start + step)
            rows = self.vectors(items[part].flatten()).reshape(*items[part].shape, self.width)
            scores[part] = (rows * queries[part, None]).sum(dim=2)
        return scores


def distinct_rows(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in the order of their first occurrence.

    Args:
        vectors: [N, d] float.

    Returns:
        ([D, d] float32 distinct rows, [N] int64 index of each row's distinct row).

    >>> distinct, index = distinct_rows(np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0]]))
    >>> distinct.tolist(), index.tolist()
    ([[1.0, 2.0], [0.0, 0.0]], [0, 1, 0])
    """
    rows = np.ascontiguousarray(vectors, np.float32) + np.float32(0)  # turns -0.0 into 0.0, so that the bytes are equal
    multipliers = np.random.default_rng(0).integers(1, 2**63, rows.shape[1], np.uint64) | np.uint64(1)
    key = np.zeros(len(rows), np.uint64)
    for column, multiplier in zip(rows.view(np.uint32).T, multipliers, strict=True):
        key += column.astype(np.uint64) * multiplier
    _, first, row = np.unique(key, return_index=True, return_inverse=True)
    if not all(np.array_equal(rows[i : i + TILE], rows[first[row[i : i + TILE]]]) for i in range(0, len(rows), TILE)):
        _, first, row = np.unique(rows, axis=0, return_index=True, return_inverse=True)  # different rows had equal keys
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return rows[first[order]], number[row.reshape(-1)].astype(np.int64)
