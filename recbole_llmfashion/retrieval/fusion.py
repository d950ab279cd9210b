"""Weighted reciprocal rank fusion of several short lists (Cormack et al., SIGIR 2009).

    score(i) = sum over the lists l that contain item i of w_l / (C + rank_l(i)), rank from 1

All items of the list TAKEN have rank 1 and its weight may be negative: what a user took before is likelier or less
likely to be taken again, by shop. fusion_weights.py chooses the weights on validation rows.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.ties import best_first

CONSTANT = 10.0  # C; small, because the lists are short
TAKEN = "taken"  # the list of the items that a user clicked or purchased before


def list_terms(name: str, length: int) -> np.ndarray:
    """[length] float64 1 / (C + rank) of the places of a list."""
    ranks = np.ones(length) if name == TAKEN else np.arange(1, length + 1)
    return 1 / (CONSTANT + ranks)


def equal_weights(names: Iterable[str]) -> dict[str, float]:
    """The weights before any are chosen: 1 for each list, 0 for TAKEN."""
    return {name: 0.0 if name == TAKEN else 1.0 for name in names}


def taken_list(taken: Tensor) -> Tensor:
    """[B, S] the items of TAKEN, each at its last place only, -1 elsewhere.

    Args:
        taken: [B, S] positions, -1 for none; an item may occur several times.

    >>> taken_list(torch.tensor([[4, 7, 4, -1]])).tolist()
    [[-1, 7, 4, -1]]
    """
    ordered, index = taken.sort(dim=1, stable=True)
    again = torch.zeros_like(taken, dtype=torch.bool)
    again[:, :-1] = ordered[:, :-1] == ordered[:, 1:]
    return torch.where(torch.empty_like(again).scatter_(1, index, again), -1, taken)


def fused_scores(lists: Mapping[str, Tensor], weights: Mapping[str, float], items: int) -> Tensor:
    """Fused score of every item.

    Args:
        lists: name -> [B, L] int64 positions, best first, -1 for none; each item occurs once in a list.
        weights: name -> weight; a list without a weight is ignored.
        items: N.

    Returns:
        [B, N] float64, 0 for items in no list; below 0 only by a negative weight of TAKEN.

    >>> lists = {"id": torch.tensor([[2, 0]]), "title": torch.tensor([[0, -1]])}
    >>> fused_scores(lists, {"id": 1.0, "title": 2.0}, items=3).numpy().round(3).tolist()
    [[0.265, 0.0, 0.091]]
    """
    batch = len(next(iter(lists.values())))
    scores = torch.zeros(batch, items + 1, dtype=torch.float64)
    for name, positions in lists.items():
        if weights.get(name):
            terms = weights[name] * torch.from_numpy(list_terms(name, positions.shape[1]))
            scores.scatter_add_(1, torch.where(positions < 0, items, positions), terms.expand(positions.shape))
    return scores[:, :items]


def fused_order(order: ItemOrder, lists: Mapping[str, Tensor], weights: Mapping[str, float]) -> ItemOrder:
    """[B, N] items by descending fused score, equal scores by `order`; those without a score above 0 last, by `order`.

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
