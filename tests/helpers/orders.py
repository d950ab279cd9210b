"""Item orders from literal lists, and the full order of an `ItemOrder`."""

import torch
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import ConstantOrder, HeadThenRest, ItemOrder


def fixed_orders(orders: Tensor | list[list[int]]) -> ItemOrder:
    """The orders [B, N]."""
    rows = torch.as_tensor(orders)
    return HeadThenRest(rows, ConstantOrder(torch.arange(rows.shape[1])).repeat(len(rows)))


def full_order(order: ItemOrder) -> Tensor:
    """[B, N] all items, best first; checks that `top`, `count_before`, `positions` and `rows` agree."""
    rows, n = order.shape
    items = order.top(n)
    nothing = torch.empty(rows, 0, dtype=torch.int64)
    for place in range(n if rows else 0):
        assert torch.equal(order.top(place), items[:, :place])
        assert order.count_before(items[:, place], nothing).tolist() == [place] * rows
        assert order.count_before(items[:, place], items[:, place // 2 : place]).tolist() == [place // 2] * rows
    if rows and n:
        assert torch.equal(order.positions(items).argsort(dim=1), torch.arange(n).expand(rows, -1))
        odd = torch.arange(rows) % 2 == 1
        assert torch.equal(order.rows(odd).top(n), items[odd])
        assert order.rows(odd).count_before(items[odd, n - 1], nothing[odd]).tolist() == [n - 1] * int(odd.sum())
    return items
