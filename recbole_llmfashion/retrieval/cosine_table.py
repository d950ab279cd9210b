"""A table of item vectors that ranks its items by cosine; knows not whether they stand for titles or for IDs."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.scored_order import DEPTH, TILE, ScoredOrder
from recbole_llmfashion.retrieval.ties import best_first

# [b, d] unit queries and k to [b, k] rows near them, -1 where fewer were found; approximate
Search = Callable[[np.ndarray, int], np.ndarray]
# [D, d] distinct unit rows to what searches them; None: every row is looked at
Near = Callable[[np.ndarray], Search | None]
_PAIR_FLOATS = 2**24  # of a block of items that are scored one by one


class CosineTable:
    """N items by their vectors; a retrieval.scored.Table.

    Args:
        vectors: [N, d] float, one row an item; a row of zeros has cosine 0 with everything.
        tie: [N] int64, see `data.fixed_order.tie_rank`.
        near: gives what finds heads among the distinct rows; None: every item is looked at.

    Attributes:
        width: d.
        tie, items, columns: see Table.
    """

    def __init__(self, vectors: np.ndarray, tie: np.ndarray, near: Near | None = None) -> None:
        if len(vectors) != len(tie):
            raise ValueError(f"{len(vectors)} rows but {len(tie)} tie ranks")
        # equal rows must tie exactly, which a matrix product over all rows does not promise
        distinct, row = distinct_rows(vectors)
        self.distinct = normalize(torch.from_numpy(distinct), dim=1)
        self.width = self.distinct.shape[1]
        self._row = torch.from_numpy(row)
        self.tie = torch.from_numpy(np.asarray(tie, np.int64))
        # the items of a distinct row stand beside each other, by tie rank
        self.items = torch.from_numpy(np.lexsort((self.tie.numpy(), row)))
        self.columns = torch.empty_like(self.items).scatter_(0, self.items, torch.arange(len(row)))
        self._first = torch.from_numpy(np.searchsorted(row[self.items.numpy()], np.arange(len(distinct) + 1)))
        # tiles of so many items, and never a part of the items of a row
        cuts = np.searchsorted(self._first.numpy(), np.arange(0, len(row), TILE))
        self._tiles = list(pairwise(np.unique([*cuts, len(distinct)]).tolist()))
        self._search = None if near is None else near(self.distinct.numpy())

    def vectors(self, items: Tensor) -> Tensor:
        """[B, d] unit rows of item positions [B]."""
        return self.distinct[self._row[items]]

    def ranked(self, queries: Tensor, first: Tensor | None = None) -> ItemOrder:
        """Items, closest first, equal cosines by tie rank; with a search, what it finds stands before all others.

        Args:
            queries: [B, d] float32; their length does not matter.
            first: [B] int64 positions that head their rows whatever their cosine.
        """
        order: ItemOrder = ScoredOrder(self, queries)
        if self._search is not None:
            order = HeadThenRest(self._found(queries), order)
        return order if first is None else HeadThenRest(first[:, None], order)

    def _found(self, queries: Tensor) -> Tensor:
        """[B, DEPTH] the head as the search has it, scored pair by pair; -1 where it found too few."""
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
        """See Table; equal rows stand in one tile."""
        for start, stop in self._tiles:
            rows = slice(start, stop)
            begin, end = int(self._first[rows.start]), int(self._first[rows.stop])
            scores = queries @ self.distinct[rows].T
            if end - begin > rows.stop - rows.start:
                scores = scores[:, self._row[self.items[begin:end]] - rows.start]
            yield begin, scores

    def of(self, queries: Tensor, items: Tensor) -> Tensor:
        """See Table; equal rows score the same to the last bit."""
        scores = torch.empty(items.shape)
        step = max(1, _PAIR_FLOATS // max(1, items.shape[1] * self.width))
        for start in range(0, len(items), step):
            part = slice(start, start + step)
            rows = self.vectors(items[part].flatten()).reshape(*items[part].shape, self.width)
            scores[part] = (rows * queries[part, None]).sum(dim=2)
        return scores


def distinct_rows(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(distinct rows [D, d] float32 in the order of their first places, [N] int64 the distinct row of each row)."""
    rows = np.ascontiguousarray(vectors, np.float32) + np.float32(0)  # no -0, which equals 0 in other bytes
    multipliers = np.random.default_rng(0).integers(1, 2**63, rows.shape[1], np.uint64) | np.uint64(1)
    key = np.zeros(len(rows), np.uint64)
    for column, multiplier in zip(rows.view(np.uint32).T, multipliers, strict=True):
        key += column.astype(np.uint64) * multiplier
    _, first, row = np.unique(key, return_index=True, return_inverse=True)
    if not all(np.array_equal(rows[i : i + TILE], rows[first[row[i : i + TILE]]]) for i in range(0, len(rows), TILE)):
        _, first, row = np.unique(rows, axis=0, return_index=True, return_inverse=True)  # two rows of one key
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return rows[first[order]], number[row.reshape(-1)].astype(np.int64)
