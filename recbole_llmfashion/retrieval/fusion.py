"""Weighted reciprocal rank fusion of several short lists (Cormack et al., SIGIR 2009).

    score(i) = sum over the lists l that contain item i of w_l / (C + rank_l(i)), rank from 1

fusion_weights.py chooses the weights on validation rows.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.ties import best_first

CONSTANT = 10.0  # C; small, because the lists are short


def fused_scores(lists: Mapping[str, Tensor], weights: Mapping[str, float], items: int) -> Tensor:
    """Fused score of every item.

    Args:
        lists: name -> [B, L] int64 positions, best first, -1 for none; each item occurs once in a list.
        weights: name -> weight; a list without a weight is ignored.
        items: N.

    Returns:
        [B, N] float64, 0 for items in no list.

    >>> lists = {"id": torch.tensor([[2, 0]]), "title": torch.tensor([[0, -1]])}
    >>> fused_scores(lists, {"id": 1.0, "title": 2.0}, items=3).numpy().round(3).tolist()
    [[0.265, 0.0, 0.091]]
    """
    batch = len(next(iter(lists.values())))
    scores = torch.zeros(batch, items + 1, dtype=torch.float64)
    for name, positions in lists.items():
        if weights.get(name):
            terms = weights[name] / (CONSTANT + 1 + torch.arange(positions.shape[1], dtype=torch.float64))
            scores.scatter_add_(1, torch.where(positions < 0, items, positions), terms.expand(positions.shape))
    return scores[:, :items]


def fused_order(order: ItemOrder, lists: Mapping[str, Tensor], weights: Mapping[str, float]) -> ItemOrder:
    """[B, N] items by descending fused score, equal scores and items in no list by `order`.

    Args:
        order: [B, N].
        lists, weights: as in `fused_scores`.
    """
    if not lists:
        return order
    listed = torch.cat(list(lists.values()), dim=1)
    if not listed.shape[1] or not len(listed):
        return order
    # number the distinct items of each row, so that scores are [B, items in the lists] and not [B, N]
    ordered, index = listed.sort(dim=1)
    is_new = torch.ones_like(ordered)
    is_new[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).long()
    numbers = torch.empty_like(listed).scatter_(1, index, is_new.cumsum(dim=1) - 1)
    items = torch.full_like(listed, -1).scatter_(1, numbers, listed)
    numbered = torch.where(listed < 0, -1, numbers).split([part.shape[1] for part in lists.values()], dim=1)
    scores = fused_scores(dict(zip(lists, numbered, strict=True)), weights, listed.shape[1])
    best = best_first(scores, order.positions(items.clamp(min=0)))
    return HeadThenRest(torch.where(scores > 0, items, -1).gather(1, best), order)
