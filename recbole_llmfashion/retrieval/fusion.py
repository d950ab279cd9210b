"""Reciprocal rank fusion: several short lists into one order (Cormack et al., SIGIR 2009), weights from validation.

    score(i) = sum over lists l of w_l / (C + rank_l(i)), rank from 1, an item that a list does not hold adds nothing

Knows item positions, not where a list comes from.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.ties import best_first

CONSTANT = 10.0  # C: with short lists a small one, so that their heads count
GRID = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
ROUNDS = 3
AT = 10


def fused_scores(lists: Mapping[str, Tensor], weights: Mapping[str, float], items: int) -> Tensor:
    """[B, N] float64 scores; 0 where no list holds the item.

    Args:
        lists: by name, [B, L] int64 positions, best first, -1 for none; an item stands in a list once.
        weights: by name; a list without one weighs nothing.
        items: N.
    """
    batch = len(next(iter(lists.values())))
    scores = torch.zeros(batch, items + 1, dtype=torch.float64)
    for name, positions in lists.items():
        if weights.get(name):
            worth = weights[name] / (CONSTANT + 1 + torch.arange(positions.shape[1], dtype=torch.float64))
            scores.scatter_add_(1, torch.where(positions < 0, items, positions), worth.expand(positions.shape))
    return scores[:, :items]


def fused_order(order: ItemOrder, lists: Mapping[str, Tensor], weights: Mapping[str, float]) -> ItemOrder:
    """[B, N] items by descending score, equal ones as `order` [B, N] has them; other arguments as in `fused_scores`."""
    held = torch.cat(list(lists.values()), dim=1)
    if not held.shape[1] or not len(held):
        return order
    # the items of a row by number, so that a row's scores are as many as its lists hold, and not the catalogue
    ordered, index = held.sort(dim=1)
    fresh = torch.ones_like(ordered)
    fresh[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).long()
    numbers = torch.empty_like(held).scatter_(1, index, fresh.cumsum(dim=1) - 1)
    items = torch.full_like(held, -1).scatter_(1, numbers, held)
    numbered = torch.where(held < 0, -1, numbers).split([found.shape[1] for found in lists.values()], dim=1)
    scores = fused_scores(dict(zip(lists, numbered, strict=True)), weights, held.shape[1])
    best = best_first(scores, order.positions(items.clamp(min=0)))
    return HeadThenRest(torch.where(scores > 0, items, -1).gather(1, best), order)


class Candidates:
    """What the lists of many rows make of the items they hold, and of the target: enough to try weights on."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._worth: list[np.ndarray] = []
        self._is_target: list[np.ndarray] = []

    def add(self, lists: Mapping[str, Tensor], targets: Tensor) -> None:
        """Rows whose targets [B] are known; arguments as in `fused_scores`."""
        columns = {name: lists[name].numpy() for name in self.names}
        for row, target in enumerate(targets.tolist()):
            held = [columns[name][row] for name in self.names]
            items = np.unique(np.concatenate(held))
            items = items[items >= 0]
            worth = np.zeros((len(items), len(self.names)))
            for column, positions in enumerate(held):
                ranks = np.flatnonzero(positions >= 0)
                worth[np.searchsorted(items, positions[ranks]), column] = 1 / (CONSTANT + 1 + ranks)
            self._worth.append(worth)
            self._is_target.append(items == target)

    def __len__(self) -> int:
        return len(self._worth)

    def ndcg(self, weights: np.ndarray) -> float:
        """Mean NDCG@10 of the rows; an item that scores as the target does counts as before it."""
        total = 0.0
        for worth, is_target in zip(self._worth, self._is_target, strict=True):
            if is_target.any():
                scores = worth @ weights
                own = float(scores[is_target][0])
                rank = int((scores >= own).sum())
                total += 1 / np.log2(rank + 1) if own > 0 and rank <= AT else 0.0
        return total / max(1, len(self))

    def best_weights(self) -> tuple[dict[str, float], float]:
        """Weights by coordinate ascent over a grid from equal ones, and their NDCG@10; equal ones where no row is."""
        weights = np.ones(len(self.names))
        best = self.ndcg(weights)
        for _ in range(ROUNDS if len(self) else 0):
            before = weights.copy()
            for column in range(len(weights)):
                for value in GRID:
                    trial = weights.copy()
                    trial[column] = value
                    found = self.ndcg(trial)
                    if found > best:
                        weights, best = trial, found
            if np.array_equal(before, weights):
                break
        return dict(zip(self.names, weights.tolist(), strict=True)), best
