"""Orders of the whole catalogue for a batch of rows, of which only the head is sorted.

    ConstantOrder: the same order in every row
    HeadThenRest: some items first, the others in another order
    PerRowOrder: rows of several orders

The rank of an item is counted: the items before it in the head, and the items that another order has before it. Orders
by score are in scored_order.py.
"""

from collections.abc import Sequence
from copy import copy
from typing import Protocol

import torch
from torch import Tensor


class ItemOrder(Protocol):
    """An order of N items in each of B rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """(B, N)."""

    def top(self, k: int) -> Tensor:
        """[B, min(k, N)] int64 positions, best first."""

    def positions(self, items: Tensor) -> Tensor:
        """[B, T] int64 sort keys of items [B, T] in 0..N-1: of two items of a row the better has the lower key."""

    def count_before(self, target: Tensor, but: Tensor) -> Tensor:
        """Number of items before the target.

        Args:
            target: [B] int64 positions.
            but: [B, X] int64 positions of items that do not count, distinct, -1 for none.

        Returns:
            [B] int64.
        """

    def rows(self, chosen: Tensor) -> "ItemOrder":
        """The rows selected by a mask [B] bool."""


class ConstantOrder:
    """The same order in every row.

    Args:
        order: [N] int64 item positions, best first.

    >>> ConstantOrder(torch.tensor([2, 0, 1])).repeat(2).top(2).tolist()
    [[2, 0], [2, 0]]
    """

    def __init__(self, order: Tensor) -> None:
        self._order, self._count = order, 1
        self._place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))

    def repeat(self, count: int) -> "ConstantOrder":
        """The same order with `count` rows."""
        repeated = copy(self)
        repeated._count = count
        return repeated

    @property
    def shape(self) -> tuple[int, int]:
        """See ItemOrder."""
        return self._count, len(self._order)

    def top(self, k: int) -> Tensor:
        """See ItemOrder."""
        return self._order[:k].expand(self._count, -1)

    def positions(self, items: Tensor) -> Tensor:
        """See ItemOrder."""
        return self._place[items]

    def count_before(self, target: Tensor, but: Tensor) -> Tensor:
        """See ItemOrder."""
        own = self._place[target]
        before = (but >= 0) & (self._place[but.clamp(min=0)] < own[:, None])
        return own - before.sum(dim=1)

    def rows(self, chosen: Tensor) -> "ConstantOrder":
        """See ItemOrder."""
        return self.repeat(int(chosen.sum()))


class HeadThenRest:
    """Some items first, all others behind them in another order.

    Args:
        first: [B, F] int64 item positions, best first, -1 for none; repetitions of an item are ignored.
        rest: the order of the others, B rows.

    >>> rest = ConstantOrder(torch.tensor([0, 1, 2, 3]))
    >>> HeadThenRest(torch.tensor([[3, -1, 1]]), rest).top(4).tolist()
    [[3, 1, 0, 2]]
    """

    def __init__(self, first: Tensor, rest: ItemOrder) -> None:
        self._first, self._rest = drop_duplicates(first), rest

    @property
    def shape(self) -> tuple[int, int]:
        """See ItemOrder."""
        return self._rest.shape

    def top(self, k: int) -> Tensor:
        """See ItemOrder."""
        k = min(k, self.shape[1])
        enough = self._first.shape[1] >= k and bool((self._first[:, :k] >= 0).all())
        return (
            self._first[:, :k] if enough else drop_duplicates(torch.cat([self._first, self._rest.top(k)], dim=1))[:, :k]
        )

    def positions(self, items: Tensor) -> Tensor:
        """See ItemOrder."""
        place = positions_in(self._first, items)
        return torch.where(place < 0, self._first.shape[1] + self._rest.positions(items), place)

    def count_before(self, target: Tensor, but: Tensor) -> Tensor:
        """See ItemOrder."""
        place = positions_in(self._first, target[:, None])
        counted = (self._first >= 0) & (positions_in(but, self._first) < 0)
        before = counted & ((place < 0) | (torch.arange(self._first.shape[1]) < place))
        count = before.sum(dim=1)
        in_rest = place[:, 0] < 0
        if in_rest.any():
            counted_already = drop_duplicates(torch.cat([self._first, but], dim=1)[in_rest])
            count[in_rest] += self._rest.rows(in_rest).count_before(target[in_rest], counted_already)
        return count

    def rows(self, chosen: Tensor) -> "HeadThenRest":
        """See ItemOrder."""
        return HeadThenRest(self._first[chosen], self._rest.rows(chosen))


class PerRowOrder:
    """Rows of several orders.

    Args:
        parts: (mask [B] bool, order of the rows that the mask selects); every row is selected once.
    """

    def __init__(self, parts: Sequence[tuple[Tensor, ItemOrder]]) -> None:
        self._parts = [(mask, order) for mask, order in parts if mask.any()] or list(parts[:1])

    @property
    def shape(self) -> tuple[int, int]:
        """See ItemOrder."""
        mask, order = self._parts[0]
        return len(mask), order.shape[1]

    def top(self, k: int) -> Tensor:
        """See ItemOrder."""
        head = torch.empty(self.shape[0], min(k, self.shape[1]), dtype=torch.int64)
        for mask, order in self._parts:
            head[mask] = order.top(k)
        return head

    def positions(self, items: Tensor) -> Tensor:
        """See ItemOrder."""
        keys = torch.empty_like(items)
        for mask, order in self._parts:
            keys[mask] = order.positions(items[mask])
        return keys

    def count_before(self, target: Tensor, but: Tensor) -> Tensor:
        """See ItemOrder."""
        count = torch.empty_like(target)
        for mask, order in self._parts:
            count[mask] = order.count_before(target[mask], but[mask])
        return count

    def rows(self, chosen: Tensor) -> "PerRowOrder":
        """See ItemOrder."""
        return PerRowOrder([(mask[chosen], order.rows(chosen[mask])) for mask, order in self._parts])


def drop_duplicates(items: Tensor) -> Tensor:
    """Keep the first occurrence of each item in each row and move gaps to the end.

    Args:
        items: [B, M] int64, -1 for none.

    Returns:
        [B, M] int64.

    >>> drop_duplicates(torch.tensor([[3, -1, 3, 0]])).tolist()
    [[3, 0, -1, -1]]
    """
    if not items.shape[1]:
        return items
    sorted_items, index = items.sort(dim=1, stable=True)
    repeated = torch.zeros_like(items, dtype=torch.bool)
    repeated[:, 1:] = sorted_items[:, 1:] == sorted_items[:, :-1]
    dropped = torch.empty_like(repeated).scatter_(1, index, repeated | (sorted_items < 0))
    keep_first = dropped.int().argsort(dim=1, stable=True)
    return torch.where(dropped, -1, items).gather(1, keep_first)


def positions_in(among: Tensor, items: Tensor) -> Tensor:
    """Column of each item in the same row of `among`.

    Args:
        among: [B, F] int64, distinct items, -1 for none.
        items: [B, T] int64.

    Returns:
        [B, T] int64, -1 for an item that is not in the row.

    >>> positions_in(torch.tensor([[4, 2, -1]]), torch.tensor([[2, 3, 4]])).tolist()
    [[1, -1, 0]]
    """
    if not among.shape[1]:
        return torch.full_like(items, -1)
    ordered, index = among.sort(dim=1)
    column = torch.searchsorted(ordered, items.contiguous()).clamp(max=among.shape[1] - 1)
    is_equal = (ordered.gather(1, column) == items) & (items >= 0)
    return torch.where(is_equal, index.gather(1, column), -1)


def rank_among(order: ItemOrder, target: Tensor, left_out: Tensor, tie: Tensor) -> Tensor:
    """Rank of the target, from 1, in an order whose `left_out` items come last of all, by tie rank.

    Args:
        order: [B, N].
        target: [B] int64.
        left_out: [B, X] int64, distinct items, -1 for none.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.

    Returns:
        [B] int64.
    """
    out = (left_out == target[:, None]).any(dim=1)
    ranks = order.count_before(target, left_out) + 1
    listed = left_out >= 0
    before = (listed & (tie[left_out.clamp(min=0)] < tie[target][:, None])).sum(dim=1)
    return torch.where(out, order.shape[1] - listed.sum(dim=1) + before + 1, ranks)


def top_without(order: ItemOrder, k: int, left_out: Tensor, tie: Tensor) -> Tensor:
    """[B, k] first items of the order of `rank_among`; arguments as there."""
    if not left_out.shape[1]:
        return order.top(k)
    head = order.top(k + left_out.shape[1])
    head = torch.where(positions_in(left_out, head) >= 0, -1, head)
    last = torch.where(left_out < 0, len(tie), tie[left_out.clamp(min=0)]).argsort(dim=1)
    return drop_duplicates(torch.cat([head, left_out.gather(1, last)], dim=1))[:, :k]
