"""Whole orders in and out, for what asks of an order no more than a head and a count."""

import torch
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import ConstantOrder, HeadThenRest, ItemOrder


def told(orders: Tensor | list[list[int]]) -> ItemOrder:
    """Orders [B, N] as they are written down."""
    rows = torch.as_tensor(orders)
    return HeadThenRest(rows, ConstantOrder(torch.arange(rows.shape[1])).repeat(len(rows)))


def whole(order: ItemOrder) -> Tensor:
    """[B, N]; that counts and heads agree with it is asserted."""
    rows, n = order.shape
    found = order.top(n)
    nothing = torch.empty(rows, 0, dtype=torch.int64)
    for place in range(n if rows else 0):
        assert torch.equal(order.top(place), found[:, :place])
        assert order.count_before(found[:, place], nothing).tolist() == [place] * rows
        assert order.count_before(found[:, place], found[:, place // 2 : place]).tolist() == [place // 2] * rows
    if rows and n:
        assert torch.equal(order.positions(found).argsort(dim=1), torch.arange(n).expand(rows, -1))
        odd = torch.arange(rows) % 2 == 1
        assert torch.equal(order.rows(odd).top(n), found[odd])
        assert order.rows(odd).count_before(found[odd, n - 1], nothing[odd]).tolist() == [n - 1] * int(odd.sum())
    return found
