"""Weighted reciprocal rank fusion of several short lists (Cormack et al., SIGIR 2009).

    score(i) = sum over the lists l that contain item i of w_l / (C + rank_l(i)), rank from 1

The weights are chosen on validation rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.ties import best_first

CONSTANT = 10.0  # C; small, because the lists are short
GRID = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # weights that are tried
ROUNDS = 3  # most rounds of coordinate ascent
AT = 10  # k of NDCG@k


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


class Candidates:
    """The unweighted scores of the listed items of many rows and their targets, to choose weights.

    Args:
        names: of the lists.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._terms: list[np.ndarray] = []
        self._is_target: list[np.ndarray] = []

    def add(self, lists: Mapping[str, Tensor], targets: Tensor) -> None:
        """Add B rows.

        Args:
            lists: as in `fused_scores`.
            targets: [B] int64 positions.
        """
        columns = {name: lists[name].numpy() for name in self.names}
        for row, target in enumerate(targets.tolist()):
            row_lists = [columns[name][row] for name in self.names]
            items = np.unique(np.concatenate(row_lists))
            items = items[items >= 0]
            terms = np.zeros((len(items), len(self.names)))
            for column, positions in enumerate(row_lists):
                ranks = np.flatnonzero(positions >= 0)
                terms[np.searchsorted(items, positions[ranks]), column] = 1 / (CONSTANT + 1 + ranks)
            self._terms.append(terms)
            self._is_target.append(items == target)

    def __len__(self) -> int:
        return len(self._terms)

    def ndcg(self, weights: np.ndarray) -> float:
        """Mean NDCG@10 of the rows; items with the target's score count as ranked before it.

        Args:
            weights: one per list, in the order of `names`.
        """
        total = 0.0
        for terms, is_target in zip(self._terms, self._is_target, strict=True):
            if is_target.any():
                scores = terms @ weights
                own = float(scores[is_target][0])
                rank = int((scores >= own).sum())
                total += 1 / np.log2(rank + 1) if own > 0 and rank <= AT else 0.0
        return total / max(1, len(self))

    def best_weights(self) -> tuple[dict[str, float], float]:
        """Choose weights by coordinate ascent over GRID, starting from equal weights.

        Returns:
            (name -> weight, their NDCG@10); equal weights if there are no rows.
        """
        weights = np.ones(len(self.names))
        best = self.ndcg(weights)
        for _ in range(ROUNDS if len(self) else 0):
            before = weights.copy()
            for column in range(len(weights)):
                for value in GRID:
                    trial = weights.copy()
                    trial[column] = value
                    ndcg = self.ndcg(trial)
                    if ndcg > best:
                        weights, best = trial, ndcg
            if np.array_equal(before, weights):
                break
        return dict(zip(self.names, weights.tolist(), strict=True)), best
