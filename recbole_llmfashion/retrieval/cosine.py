"""A table of item vectors that ranks its items by cosine; knows not whether they stand for titles or for IDs."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from recbole_llmfashion.retrieval.ties import order_by_score


class CosineTable:
    """Exhaustive ranking, every item in every order.

    Args:
        vectors: [N, d] float, one row an item; a row of zeros has cosine 0 with everything.
        tie: [N] int64, see `data.fixed_order.tie_rank`.

    Attributes:
        width: d.
    """

    def __init__(self, vectors: np.ndarray, tie: np.ndarray) -> None:
        if len(vectors) != len(tie):
            raise ValueError(f"{len(vectors)} rows but {len(tie)} tie ranks")
        # equal rows must tie exactly, which a matrix product over all rows does not promise
        distinct, row = np.unique(np.asarray(vectors, np.float32), axis=0, return_inverse=True)
        self._distinct = normalize(torch.from_numpy(distinct), dim=1)
        self.width = self._distinct.shape[1]
        self._row = torch.from_numpy(row.reshape(-1).astype(np.int64))
        self._tie = torch.from_numpy(np.asarray(tie, np.int64))

    def vectors(self, items: Tensor) -> Tensor:
        """[B, d] unit rows of item positions [B]."""
        return self._distinct[self._row[items]]

    def order(self, queries: Tensor, first: Tensor | None = None) -> Tensor:
        """Item positions, closest first, equal cosines by tie rank.

        Args:
            queries: [B, d] float32; their length does not matter.
            first: [B] int64 positions that head their rows whatever their cosine.

        Returns:
            [B, N] int64.
        """
        scores = (queries @ self._distinct.T)[:, self._row]
        if first is not None:
            scores.scatter_(1, first[:, None], torch.inf)
        return order_by_score(scores, self._tie)
