"""The title list: all items by the closeness of their titles to a generated title; knows no IDs and no training."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from recbole_llmfashion.retrieval.cosine_table import CosineTable, Near
from recbole_llmfashion.retrieval.item_order import ItemOrder


class TitleList:
    """Ranks the catalogue by cosine of title embeddings (docs/method.md, stage 3).

    Args:
        matrix: [N, d] float32, unit rows, one an item.
        encoder: b texts to [b, d] unit rows, the one that made `matrix`.
        tie: [N] int64, see `data.fixed_order.tie_rank`.
        near: see CosineTable.
    """

    def __init__(
        self,
        matrix: np.ndarray,
        encoder: Callable[[Sequence[str]], np.ndarray],
        tie: np.ndarray,
        near: Near | None = None,
    ) -> None:
        self._table = CosineTable(matrix, tie, near)
        self._encoder = encoder

    def __call__(self, titles: Sequence[str]) -> ItemOrder:
        """[B, N] for each title the closest items first, equal cosines by tie rank."""
        return self._table.ranked(torch.from_numpy(np.asarray(self._encoder(titles), np.float32)))
