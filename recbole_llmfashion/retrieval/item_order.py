"""A whole order of the catalogue in each of B rows, of which nobody has to sort more than a head.

    HeadThenRest: some items first, the rest as another order has them
    PerRowOrder: rows of several orders
    ConstantOrder: one for all

An item's place follows from the few that stand before it in a head, and from a count of what an order has before it
behind the head. This module knows no scores (scored.py) and no models.
"""

from collections.abc import Sequence
from copy import copy
from typing import Protocol

import torch
from torch import Tensor


class ItemOrder(Protocol):
    """B rows, each with every item position once."""

    @property
    def shape(self) -> tuple[int, int]:
        """(B, N)."""

    def top(self, k: int) -> Tensor:
        """[B, min(k, N)] int64 positions, best first."""

    def positions(self, items: Tensor) -> Tensor:
        """[B, T] int64 of items [B, T] in 0..N-1: numbers by which a row's items sort, best first."""

    def count_before(self, target: Tensor, but: Tensor) -> Tensor:
        """[B] how many items stand before target [B], without those of `but` [B, X] (-1 for none, none twice)."""

    def rows(self, chosen: Tensor) -> "ItemOrder":
        """The rows that a mask [B] chooses."""


class ConstantOrder:
    """One order, the same in every row.

    Args:
        order: [N] int64, best first.
    """

    def __init__(self, order: Tensor) -> None:
        self._order, self._count = order, 1
        self._place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))

    def repeat(self, count: int) -> "ConstantOrder":
        """The same in so many rows."""
        more = copy(self)
        more._count = count
        return more

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
    """Some items first, in the order given, all others behind them as `rest` has them.

    Args:
        first: [B, F] int64, -1 for none; of an item that stands there twice the first place counts.
        rest: of the same rows.
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
        found = before.sum(dim=1)
        behind = place[:, 0] < 0
        if behind.any():
            passed = drop_duplicates(torch.cat([self._first, but], dim=1)[behind])
            found[behind] += self._rest.rows(behind).count_before(target[behind], passed)
        return found

    def rows(self, chosen: Tensor) -> "HeadThenRest":
        """See ItemOrder."""
        return HeadThenRest(self._first[chosen], self._rest.rows(chosen))


class PerRowOrder:
    """Rows of several orders.

    Args:
        parts: (mask [B], an order of the rows that it chooses); every row is chosen once.
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
        found = torch.empty(self.shape[0], min(k, self.shape[1]), dtype=torch.int64)
        for mask, order in self._parts:
            found[mask] = order.top(k)
        return found

    def positions(self, items: Tensor) -> Tensor:
        """See ItemOrder."""
        found = torch.empty_like(items)
        for mask, order in self._parts:
            found[mask] = order.positions(items[mask])
        return found

    def count_before(self, target: Tensor, but: Tensor) -> Tensor:
        """See ItemOrder."""
        found = torch.empty_like(target)
        for mask, order in self._parts:
            found[mask] = order.count_before(target[mask], but[mask])
        return found

    def rows(self, chosen: Tensor) -> "PerRowOrder":
        """See ItemOrder."""
        return PerRowOrder([(mask[chosen], order.rows(chosen[mask])) for mask, order in self._parts])


def drop_duplicates(items: Tensor) -> Tensor:
    """[B, M] without repetition: the first place of each item counts, -1 is nothing; gaps go to the end as -1."""
    if not items.shape[1]:
        return items
    sorted_items, index = items.sort(dim=1, stable=True)
    again = torch.zeros_like(items, dtype=torch.bool)
    again[:, 1:] = sorted_items[:, 1:] == sorted_items[:, :-1]
    gone = torch.empty_like(again).scatter_(1, index, again | (sorted_items < 0))
    keep_first = gone.int().argsort(dim=1, stable=True)
    return torch.where(gone, -1, items).gather(1, keep_first)


def positions_in(among: Tensor, items: Tensor) -> Tensor:
    """[B, T] where items [B, T] stand in `among` [B, F], no item twice there; -1 for an item that does not."""
    if not among.shape[1]:
        return torch.full_like(items, -1)
    ordered, index = among.sort(dim=1)
    at = torch.searchsorted(ordered, items.contiguous()).clamp(max=among.shape[1] - 1)
    found = (ordered.gather(1, at) == items) & (items >= 0)
    return torch.where(found, index.gather(1, at), -1)


def rank_among(order: ItemOrder, target: Tensor, left_out: Tensor, tie: Tensor) -> Tensor:
    """[B] the rank, from 1, of target [B] in an order whose `left_out` items come last of all, by tie rank.

    Args:
        left_out: [B, X] int64, -1 for none, no item twice.
        tie: [N] int64, see `tie_rank`.
    """
    out = (left_out == target[:, None]).any(dim=1)
    ranks = order.count_before(target, left_out) + 1
    listed = left_out >= 0
    before = (listed & (tie[left_out.clamp(min=0)] < tie[target][:, None])).sum(dim=1)
    return torch.where(out, order.shape[1] - listed.sum(dim=1) + before + 1, ranks)


def top_without(order: ItemOrder, k: int, left_out: Tensor, tie: Tensor) -> Tensor:
    """[B, k] the head of the same order; arguments as in `rank_among`."""
    if not left_out.shape[1]:
        return order.top(k)
    found = order.top(k + left_out.shape[1])
    found = torch.where(positions_in(left_out, found) >= 0, -1, found)
    last = torch.where(left_out < 0, len(tie), tie[left_out.clamp(min=0)]).argsort(dim=1)
    return drop_duplicates(torch.cat([found, left_out.gather(1, last)], dim=1))[:, :k]
