"""Ranking by the similarity of item titles to a generated title."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable, Near


class TitleList:
    """Ranks the catalogue by cosine similarity of title embeddings (docs/method.md, stage 3).

    Args:
        matrix: [N, d] float32 title embeddings of the items, unit rows.
        encoder: the text encoder that computed `matrix`, b texts -> [b, d] unit rows.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        near: see `CosineTable`.
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
        """[B, N] items by descending cosine to each title, equal cosines by tie rank."""
        return self._table.rank(torch.from_numpy(np.asarray(self._encoder(titles), np.float32)))
