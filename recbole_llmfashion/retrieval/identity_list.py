"""The ID list where no embedding table knows the items: the generated item itself, and no opinion on the others."""

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.retrieval.ties import order_by_score


class IdentityList:
    """Ranks the catalogue for a generated item of which nothing but its ID is known (docs/method.md, zero-shot).

    Its first position is all it has to say, so mixup takes m = 1 from it.

    Args:
        tie: [N] int64, see `data.fixed_order.tie_rank`.
    """

    def __init__(self, tie: np.ndarray) -> None:
        self._tie = torch.from_numpy(np.asarray(tie, np.int64))

    def __call__(self, items: Tensor) -> Tensor:
        """Item positions for each item: itself first, then every other item by tie rank.

        Args:
            items: [B] int64 positions; a row of -1 (no ID) gets some order, which the caller must mask.

        Returns:
            [B, N] int64.
        """
        scores = torch.zeros(len(items), len(self._tie))
        return order_by_score(scores.scatter_(1, items.clamp(min=0)[:, None], 1.0), self._tie)
