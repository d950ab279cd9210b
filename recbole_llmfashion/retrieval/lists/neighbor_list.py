"""Ranking by the items that the same users took, which the model SeqKNN ranks by alone.

    score(i) = sum over the last `history` items j of a user, newest first, age a from 0, of cos(i, j) / (1 + a)
    cos(i, j) = users of both / sqrt(users of i * users of j); cos(i, i) = 0

The cosines come from counts of users (common_users.py).
"""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


class NeighborList:
    """Ranks the items with a score above 0.

    Args:
        cosines: of `CommonUsers`.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        history: number of the newest items that count.
    """

    def __init__(self, cosines: sparse.csr_array, tie: np.ndarray, history: int) -> None:
        self._cosines, self._tie, self.history = cosines, tie, history

    def among(self, items: np.ndarray, tie: np.ndarray) -> "NeighborList":
        """The list of some of the items; an item that is not in it has no neighbours.

        Args:
            items: [n] ascending positions.
            tie: [n] their tie ranks.
        """
        known, number = self._cosines.shape[0], int(items.max(initial=-1)) + 1
        if len(items) == number == known:
            return NeighborList(self._cosines, tie, self.history)
        cosines = self._cosines
        if number > known:
            cosines = cosines.copy()
            cosines.resize((number, number))
        return NeighborList(cosines[items][:, items].tocsr(), tie, self.history)

    def scores(self, taken: Tensor) -> sparse.csr_array:
        """Sparse [B, N] scores.

        Args:
            taken: [B, S] positions of each user's items, oldest first, -1 for none.
        """
        return (newest_first(taken, self.history, self._cosines.shape[0]) @ self._cosines).tocsr()

    def top(self, taken: Tensor, depth: int) -> Tensor:
        """[B, depth] positions by descending score, equal scores by tie rank, -1 behind them.

        Args:
            taken: as in `scores`.
        """
        return best_scored(self.scores(taken), self._tie, depth)


def newest_first(taken: Tensor, history: int, items: int) -> sparse.csr_array:
    """Sparse [B, N] 1 / (1 + age) of each user's last `history` items, age from 0, summed over repetitions.

    Args:
        taken: as in `NeighborList.scores`.
        history: number of the newest items that count.
        items: N.
    """
    valid = (taken >= 0).numpy()
    age = valid[:, ::-1].cumsum(axis=1)[:, ::-1] - 1
    row, column = np.nonzero(valid & (age < history))
    weights = 1 / (1 + age[row, column])
    return sparse.coo_array((weights, (row, taken.numpy()[row, column])), shape=(len(taken), items)).tocsr()


def best_scored(scores: sparse.csr_array, tie: np.ndarray, depth: int) -> Tensor:
    """[B, depth] positions by descending score, equal scores by tie rank, -1 behind them.

    Args:
        scores: sparse [B, N], above 0.
        tie: [N] int64.
        depth: number of positions.
    """
    rows = scores.shape[0]
    row = np.repeat(np.arange(rows), np.diff(scores.indptr))
    order = np.lexsort((tie[scores.indices], -scores.data, row))
    place = np.arange(len(row)) - scores.indptr[row]
    best = place < depth
    heads = np.full((rows, depth), -1, np.int64)
    heads[row[best], place[best]] = scores.indices[order][best]
    return torch.from_numpy(heads)
