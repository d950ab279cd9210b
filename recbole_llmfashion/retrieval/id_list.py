"""The ID list: all items by closeness to a generated item in CORE's embedding table; knows no titles, no training."""

import numpy as np
from torch import Tensor

from recbole_llmfashion.retrieval.cosine import CosineTable


class IdList:
    """Ranks the catalogue by cosine between rows of an item embedding table (docs/method.md, stage 3).

    CORE's own full ranking normalizes its rows, so its similarity is the cosine.

    Args:
        table: [N, d] float, CORE's rows by item position, without the pad row, which CORE trains as a negative.
        tie: [N] int64, see `data.fixed_order.tie_rank`.
    """

    def __init__(self, table: np.ndarray, tie: np.ndarray) -> None:
        self._table = CosineTable(table, tie)

    def __call__(self, items: Tensor) -> Tensor:
        """Item positions for each item, itself first, then the closest, equal cosines by tie rank.

        Args:
            items: [B] int64 positions; a row of -1 (no ID) gets some order, which the caller must mask.

        Returns:
            [B, N] int64.
        """
        known = items.clamp(min=0)
        # a duplicate of the item's row, or rounding, must not put another item before the one that was generated
        return self._table.order(self._table.vectors(known), first=known)
