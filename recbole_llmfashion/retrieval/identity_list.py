"""The ID list where no embedding table knows the items: the generated item itself, and no opinion on the others."""

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import Fixed, Led, Order


class IdentityList:
    """Ranks the catalogue for a generated item of which nothing but its ID is known (docs/method.md, zero-shot).

    Its first position is all it has to say, so mixup takes m = 1 from it.

    Args:
        tie: [N] int64, see `data.fixed_order.tie_rank`.
    """

    def __init__(self, tie: np.ndarray) -> None:
        self._order = Fixed(torch.argsort(torch.from_numpy(np.asarray(tie, np.int64))))

    def __call__(self, items: Tensor) -> Order:
        """[B, N] for each item itself first, then every other item by tie rank.

        Args:
            items: [B] int64 positions; a row of -1 (no ID) gets some order, which the caller must mask.
        """
        return Led(items.clamp(min=0)[:, None], self._order.times(len(items)))
