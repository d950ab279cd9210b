"""Lists from CORE's embedding table: for a generated item, and for a session; knows no titles, no training."""

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.retrieval.cosine_table import CosineTable, Near
from recbole_llmfashion.retrieval.item_order import ConstantOrder, HeadThenRest, ItemOrder


class IdList:
    """Ranks the catalogue by cosine between rows of an item embedding table (docs/method.md, stage 3).

    CORE's own full ranking normalizes its rows, so its similarity is the cosine.

    Args:
        table: [N, d] float, CORE's rows by item position, without the pad row, which CORE trains as a negative.
        tie: [N] int64, see `data.fixed_order.tie_rank`.
        near: see CosineTable.
    """

    def __init__(self, table: np.ndarray, tie: np.ndarray, near: Near | None = None) -> None:
        self._table = CosineTable(table, tie, near)

    def sessions(self) -> "SessionList":
        """The list for sessions by the same table."""
        return SessionList(self._table)

    def __call__(self, items: Tensor) -> ItemOrder:
        """[B, N] for each item itself first, then the closest, equal cosines by tie rank.

        Args:
            items: [B] int64 positions; a row of -1 (no ID) gets some order, which the caller must mask.
        """
        known = items.clamp(min=0)
        # a duplicate of the item's row, or rounding, must not put another item before the one that was generated
        return self._table.ranked(self._table.vectors(known), first=known)


class SessionList:
    """Ranks the catalogue for what a customer did: cosine with the mean of the items' unit rows.

    CORE represents a session as a weighted mean of its items' rows; this is that mean with equal weights (the paper of
    CORE calls it CORE-ave, arXiv 2204.11067), and needs no weights beside the table.

    Args:
        table: of the items' rows.
    """

    def __init__(self, table: CosineTable) -> None:
        self._table = table

    def __call__(self, items: Tensor) -> ItemOrder:
        """[B, N] for each session the closest items first, equal cosines by tie rank.

        Args:
            items: [B, S] int64 positions, -1 for none; a row without any gets some order, which the caller must mask.
        """
        known = (items >= 0)[:, :, None]
        rows = self._table.vectors(items.clamp(min=0).flatten()).reshape(*items.shape, self._table.width)
        return self._table.ranked((rows * known).sum(dim=1))


class IdentityList:
    """Ranks the catalogue for a generated item of which nothing but its ID is known (docs/method.md, zero-shot).

    Its first position is all it has to say, so mixup takes m = 1 from it.

    Args:
        tie: [N] int64, see `data.fixed_order.tie_rank`.
    """

    def __init__(self, tie: np.ndarray) -> None:
        self._order = ConstantOrder(torch.argsort(torch.from_numpy(np.asarray(tie, np.int64))))

    def __call__(self, items: Tensor) -> ItemOrder:
        """[B, N] for each item itself first, then every other item by tie rank.

        Args:
            items: [B] int64 positions; a row of -1 (no ID) gets some order, which the caller must mask.
        """
        return HeadThenRest(items.clamp(min=0)[:, None], self._order.repeat(len(items)))
