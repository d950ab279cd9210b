"""The title list: all items by the closeness of their titles to a generated title; knows no IDs and no training."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.retrieval.cosine import CosineTable


class TitleList:
    """Ranks the catalogue by cosine of title embeddings (docs/method.md, stage 3).

    Args:
        matrix: [N, d] float32, unit rows, one an item.
        encoder: b texts to [b, d] unit rows, the one that made `matrix`.
        tie: [N] int64, see `data.fixed_order.tie_rank`.
    """

    def __init__(self, matrix: np.ndarray, encoder: Callable[[Sequence[str]], np.ndarray], tie: np.ndarray) -> None:
        self._table = CosineTable(matrix, tie)
        self._encoder = encoder

    def __call__(self, titles: Sequence[str]) -> Tensor:
        """Item positions for each title, closest first, equal cosines by tie rank.

        Returns:
            [B, N] int64.
        """
        return self._table.order(torch.from_numpy(np.asarray(self._encoder(titles), np.float32)))
