"""Items by popularity, ties by the fixed order."""

import numpy as np
import torch

from recbole_llmfashion.retrieval.item_order import ConstantOrder
from recbole_llmfashion.retrieval.ties import order_by_score


def popular_order(popularity: np.ndarray, tie: torch.Tensor) -> ConstantOrder:
    """Items by popularity [N], equal ones by tie [N] int64."""
    return ConstantOrder(order_by_score(torch.from_numpy(popularity).double()[None], tie)[0])
