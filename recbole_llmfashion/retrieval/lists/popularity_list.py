"""Ranking by popularity."""

import numpy as np
import torch

from recbole_llmfashion.retrieval.item_order import ConstantOrder
from recbole_llmfashion.retrieval.ties import order_by_score


def popular_order(popularity: np.ndarray, tie: torch.Tensor) -> ConstantOrder:
    """Items by descending popularity, equal popularity by tie rank.

    Args:
        popularity: [N] counts.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.

    >>> popular_order(np.array([3, 7, 3]), torch.tensor([2, 1, 0])).top(3).tolist()
    [[1, 2, 0]]
    """
    return ConstantOrder(order_by_score(torch.from_numpy(popularity).double()[None], tie)[0])
