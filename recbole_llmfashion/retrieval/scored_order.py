"""An order by scores that are computed on demand, one tile of the items at a time, without sorting all of them.

    top: the best items of each tile, then the best of these
    count_before: number of items with a higher score than the target, summed over tiles

Memory therefore does not grow with the catalogue. The score of the target may differ in its last bit from the score
that another tile would compute for an equal vector. That can swap near-ties between tiles; a catalogue of one tile is
ranked exactly.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from recbole_llmfashion.retrieval.ties import best_first, head_by_score

TILE = 2**18  # approximate number of items per tile
DEPTH = 100  # length of the head that is cached


class ScoreTable(Protocol):
    """N items that can be scored for queries.

    Attributes:
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        items: [N] int64, item of each column.
        columns: [N] int64, column of each item.
    """

    tie: Tensor
    items: Tensor
    columns: Tensor

    def tiles(self, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield (first column, scores [B, w]) of consecutive tiles, which together cover all columns."""

    def score(self, queries: Tensor, items: Tensor) -> Tensor:
        """[B, T] scores of items [B, T]."""


class WholeTable:
    """Items with known scores: the queries are the scores [B, N], one tile. See ScoreTable for the rest."""

    def __init__(self, tie: Tensor) -> None:
        self.tie, self.items = tie, torch.arange(len(tie))
        self.columns = self.items

    def tiles(self, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
        """See ScoreTable."""
        yield 0, queries

    def score(self, queries: Tensor, items: Tensor) -> Tensor:
        """See ScoreTable."""
        return queries.gather(1, items)


class ScoredOrder:
    """Items by descending score, equal scores by tie rank; an `ItemOrder`.

    Args:
        table: computes the scores.
        queries: B queries for the table.
        head: [B, K] the first items, if they are known already.

    >>> scores = torch.tensor([[0.1, 0.9, 0.1], [3.0, 2.0, 1.0]])
    >>> ScoredOrder(WholeTable(torch.tensor([1, 2, 0])), scores).top(3).tolist()
    [[1, 2, 0], [0, 1, 2]]
    """

    def __init__(self, table: ScoreTable, queries: Tensor, head: Tensor | None = None) -> None:
        self._table, self._queries, self._head = table, queries, head

    @property
    def shape(self) -> tuple[int, int]:
        """See ItemOrder."""
        return len(self._queries), len(self._table.tie)

    def top(self, k: int) -> Tensor:
        """See ItemOrder."""
        k = min(k, self.shape[1])
        if self._head is None or self._head.shape[1] < k:
            self._head = self._best(min(max(k, DEPTH), self.shape[1]))
        return self._head[:, :k]

    def _best(self, k: int) -> Tensor:
        """[B, k] the first items."""
        table, rows = self._table, self.shape[0]
        items, scores = torch.empty(rows, 0, dtype=torch.int64), torch.empty(rows, 0)
        for start, tile in table.tiles(self._queries):
            here = table.items[start : start + tile.shape[1]]
            best = head_by_score(tile, table.tie[here], k)
            values = tile.gather(1, best)
            if not items.shape[1]:
                items, scores = here[best], values
                continue
            items, scores = torch.cat([items, here[best]], dim=1), torch.cat([scores, values], dim=1)
            order = best_first(scores, table.tie[items])[:, :k]
            items, scores = items.gather(1, order), scores.gather(1, order)
        return items

    def positions(self, items: Tensor) -> Tensor:
        """See ItemOrder."""
        order = best_first(self._table.score(self._queries, items), self._table.tie[items])
        return torch.empty_like(order).scatter_(1, order, torch.arange(items.shape[1]).expand(items.shape))

    def count_before(self, target: Tensor, but: Tensor) -> Tensor:
        """See ItemOrder."""
        table, count = self._table, torch.zeros_like(target)
        own: Tensor | None = None
        tie_of_target = table.tie[target][:, None]
        for start, tile in table.tiles(self._queries):
            here = slice(start, start + tile.shape[1])
            whole = tile.shape[1] == self.shape[1]
            column, inside = _column(table, target[:, None], here)
            own_here = tile.gather(1, column)
            if not whole:
                own = table.score(self._queries, target[:, None]) if own is None else own
                own_here = torch.where(inside, own_here, own)
            count += (tile > own_here).sum(dim=1)
            count += ((tile == own_here) & (table.tie[table.items[here]] < tie_of_target)).sum(dim=1)
            column, inside = _column(table, but, here)
            left = tile.gather(1, column)
            tied = (left == own_here) & (table.tie[but.clamp(min=0)] < tie_of_target)
            count -= (inside & ((left > own_here) | tied)).sum(dim=1)
        return count

    def rows(self, chosen: Tensor) -> "ScoredOrder":
        """See ItemOrder."""
        return ScoredOrder(self._table, self._queries[chosen], None if self._head is None else self._head[chosen])


def _column(table: ScoreTable, items: Tensor, here: slice) -> tuple[Tensor, Tensor]:
    """Column of items [B, T] within a tile, and whether they are in the tile; -1 is in no tile."""
    column = table.columns[items.clamp(min=0)] - here.start
    inside = (items >= 0) & (column >= 0) & (column < here.stop - here.start)
    return torch.where(inside, column, 0), inside
