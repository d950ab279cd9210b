"""Ranking by pictures: the items whose pictures are like those of the items of a user (VBPR's idea, without training).

    q = sum over the last `history` items j of a user, newest first, age a from 0, of v(j) / (1 + a)
    score(i) = cos(q, v(i))

v is the vector of an item's picture, 0 without one. Where q is 0, as for a user without items, it is the vector of the
generated item. An item needs a picture and nothing else, so a cold one has its place.

He and McAuley (AAAI 2016, arXiv 1510.01784) learn from such vectors what each user likes; here nothing is learned.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable
from recbole_llmfashion.retrieval.lists.neighbor_list import newest_first


class ImageList:
    """Ranks the items that have a picture.

    Args:
        vectors: [M, d] float32 of the pictures of the M >= N items that users took, rows of zeros for items without
            one; the first N are ranked.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        history: number of the newest items that count.
    """

    def __init__(self, vectors: np.ndarray, tie: np.ndarray, history: int) -> None:
        shown = np.flatnonzero(vectors[: len(tie)].any(axis=1))
        self._vectors, self._shown, self.history = vectors, torch.from_numpy(shown), history
        self._table = CosineTable(vectors[shown], tie[shown]) if len(shown) else None

    def top(self, taken: Tensor, generated: Tensor, depth: int) -> Tensor:
        """[B, depth] positions by descending score, equal scores by tie rank, -1 behind them.

        Args:
            taken: [B, S] positions of each user's items, oldest first, -1 for none.
            generated: [B] positions of the generated items, -1 for none.
            depth: number of positions.
        """
        if self._table is None or not len(taken):
            return torch.full((len(taken), depth), -1, dtype=torch.int64)
        users = newest_first(taken, self.history, len(self._vectors)) @ self._vectors
        queries = torch.from_numpy(np.asarray(users, np.float32))
        given = torch.from_numpy(self._vectors[generated.clamp(min=0).numpy()]) * (generated >= 0)[:, None]
        queries = torch.where(queries.any(dim=1)[:, None], queries, given)
        heads = self._shown[self._table.rank(queries).top(min(depth, len(self._shown)))]
        heads = torch.where(queries.any(dim=1)[:, None], heads, -1)
        return pad(heads, (0, depth - heads.shape[1]), value=-1)
