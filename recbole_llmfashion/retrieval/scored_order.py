"""An order by scores that are made when they are needed, a tile of the items at a time, and never sorted as a whole.

    top: the best of each tile, then the best of these;  ahead: of each tile, how many score higher than the target

So what an evaluation holds does not grow with the catalogue. Within a tile equal scores are equal to the last bit where
the table says so; a target's score in another tile may differ in its last bit from what that tile would have made of
the same row, which moves near-ties alone, and nothing in a catalogue of one tile. This module knows no models.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from recbole_llmfashion.retrieval.ties import best_first, head_by_score

TILE = 2**18  # items, about
DEPTH = 100  # a head that is asked for again is found once


class ScoreTable(Protocol):
    """N items that can be scored for queries.

    Attributes:
        tie: [N] int64, see `data.fixed_order.tie_rank`.
        items: [N] int64, the item of each column.
        columns: [N] int64, the column of each item.
    """

    tie: Tensor
    items: Tensor
    columns: Tensor

    def tiles(self, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
        """(first column, scores [B, w]) of consecutive columns until all have been there."""

    def of(self, queries: Tensor, items: Tensor) -> Tensor:
        """[B, T] scores of items [B, T]."""


class WholeTable:
    """Items with known scores: the queries are the scores [B, N], one tile. See ScoreTable for the rest."""

    def __init__(self, tie: Tensor) -> None:
        self.tie, self.items = tie, torch.arange(len(tie))
        self.columns = self.items

    def tiles(self, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
        """See ScoreTable."""
        yield 0, queries

    def of(self, queries: Tensor, items: Tensor) -> Tensor:
        """See ScoreTable."""
        return queries.gather(1, items)


class ScoredOrder:
    """The order of a table's items by descending score, equal scores by tie rank; see retrieval.order.Order.

    Args:
        table: what scores.
        queries: of B rows, as the table takes them.
        head: [B, K] its head, where it is known.
    """

    def __init__(self, table: ScoreTable, queries: Tensor, head: Tensor | None = None) -> None:
        self._table, self._queries, self._head = table, queries, head

    @property
    def shape(self) -> tuple[int, int]:
        """See Order."""
        return len(self._queries), len(self._table.tie)

    def top(self, k: int) -> Tensor:
        """See Order."""
        k = min(k, self.shape[1])
        if self._head is None or self._head.shape[1] < k:
            self._head = self._found(min(max(k, DEPTH), self.shape[1]))
        return self._head[:, :k]

    def _found(self, k: int) -> Tensor:
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
        """See Order."""
        order = best_first(self._table.of(self._queries, items), self._table.tie[items])
        return torch.empty_like(order).scatter_(1, order, torch.arange(items.shape[1]).expand(items.shape))

    def count_before(self, target: Tensor, but: Tensor) -> Tensor:
        """See Order."""
        table, found = self._table, torch.zeros_like(target)
        own: Tensor | None = None
        tie_of_target = table.tie[target][:, None]
        for start, tile in table.tiles(self._queries):
            here = slice(start, start + tile.shape[1])
            whole = tile.shape[1] == self.shape[1]
            column, inside = _column(table, target[:, None], here)
            own_here = tile.gather(1, column)
            if not whole:
                own = table.of(self._queries, target[:, None]) if own is None else own
                own_here = torch.where(inside, own_here, own)
            found += (tile > own_here).sum(dim=1)
            found += ((tile == own_here) & (table.tie[table.items[here]] < tie_of_target)).sum(dim=1)
            column, inside = _column(table, but, here)
            left = tile.gather(1, column)
            tied = (left == own_here) & (table.tie[but.clamp(min=0)] < tie_of_target)
            found -= (inside & ((left > own_here) | tied)).sum(dim=1)
        return found

    def rows(self, chosen: Tensor) -> "ScoredOrder":
        """See Order."""
        return ScoredOrder(self._table, self._queries[chosen], None if self._head is None else self._head[chosen])


def _column(table: ScoreTable, items: Tensor, here: slice) -> tuple[Tensor, Tensor]:
    """Where items [B, T] stand among the columns of a tile, and whether they do; -1 is nowhere."""
    column = table.columns[items.clamp(min=0)] - here.start
    inside = (items >= 0) & (column >= 0) & (column < here.stop - here.start)
    return torch.where(inside, column, 0), inside
