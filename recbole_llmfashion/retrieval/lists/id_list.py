"""Rankings by CORE's item embeddings: for a generated item, and for the items of a session."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from recbole_llmfashion.retrieval.item_order import ConstantOrder, HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable, Near


class IdList:
    """Ranks the catalogue by cosine similarity to the embedding of an item (docs/method.md, stage 3).

    CORE normalizes its embeddings before ranking, so its similarity is the cosine.

    Args:
        table: [N, d] float, CORE's embeddings by item position, without the pad row, which CORE trains as a negative.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        near: see `CosineTable`.

    >>> id_list = IdList(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]), tie=np.array([0, 1, 2]))
    >>> id_list(torch.tensor([1, 0])).top(3).tolist()
    [[1, 2, 0], [0, 2, 1]]
    """

    def __init__(self, table: np.ndarray, tie: np.ndarray, near: Near | None = None) -> None:
        self._table = CosineTable(table, tie, near)

    def sessions(self, further: np.ndarray | None = None) -> "SessionList":
        """The ranking for sessions by the same embeddings.

        Args:
            further: see `SessionList`.
        """
        return SessionList(self._table, further)

    def __call__(self, items: Tensor) -> ItemOrder:
        """[B, N] each item itself first, then the others by descending cosine, equal cosines by tie rank.

        Args:
            items: [B] int64 positions; the order of a row with -1 (no item) is arbitrary.
        """
        valid = items.clamp(min=0)
        # an item with an equal embedding, or rounding, must not come before the generated item
        return self._table.rank(self._table.vectors(valid), first=valid)


class SessionList:
    """Ranks the catalogue by cosine similarity to the mean of the unit embeddings of a session's items.

    CORE represents a session by a weighted mean of its items' embeddings; this is the mean with equal weights, CORE-ave
    (arXiv 2204.11067), which has no parameters beside the embeddings.

    Args:
        table: embeddings of N items.
        further: [R, d] those of items N to N + R - 1, which sessions may hold but which are not ranked.
    """

    def __init__(self, table: CosineTable, further: np.ndarray | None = None) -> None:
        self._table = table
        rows = np.zeros((0, table.width)) if further is None else further
        self._further = normalize(torch.from_numpy(np.asarray(rows, np.float32)), dim=1)

    def __call__(self, items: Tensor) -> ItemOrder:
        """[B, N] items by descending cosine, equal cosines by tie rank.

        Args:
            items: [B, S] int64 positions, -1 for none; the order of a row without items is arbitrary.
        """
        valid = (items >= 0)[:, :, None]
        rows = self._vectors(items.clamp(min=0).flatten()).reshape(*items.shape, self._table.width)
        return self._table.rank((rows * valid).sum(dim=1))

    def _vectors(self, items: Tensor) -> Tensor:
        """[n, d] unit rows of item positions [n]."""
        ranked = len(self._table.tie)
        rows = self._table.vectors(items.clamp(max=ranked - 1))
        further = items >= ranked
        rows[further] = self._further[items[further] - ranked]
        return rows


class IdentityList:
    """Ranks a generated item first, for catalogues without item embeddings (docs/method.md, zero-shot).

    Only the first item of the ranking is meaningful, so mixup uses m = 1.

    Args:
        tie: [N] int64, see `data.tie_breaking.tie_rank`.

    >>> IdentityList(np.array([2, 0, 1]))(torch.tensor([2])).top(3).tolist()
    [[2, 1, 0]]
    """

    def __init__(self, tie: np.ndarray) -> None:
        self._order = ConstantOrder(torch.argsort(torch.from_numpy(np.asarray(tie, np.int64))))

    def __call__(self, items: Tensor) -> ItemOrder:
        """[B, N] each item itself first, then all others by tie rank.

        Args:
            items: [B] int64 positions; the order of a row with -1 (no item) is arbitrary.
        """
        return HeadThenRest(items.clamp(min=0)[:, None], self._order.repeat(len(items)))
