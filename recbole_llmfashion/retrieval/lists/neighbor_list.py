"""Ranking by the items that the same users took, which the model SeqKNN ranks by alone.

    score(i) = sum over the last `history` items j of a user, newest first, age a from 0, of cos(i, j) / (1 + a)
    cos(i, j) = users of both / sqrt(users of i * users of j); cos(i, i) = 0

The cosines come from counts of users (common_users.py).
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

ENTRIES = 2**22  # scores above 0 that are held at once: 50 MB


class NeighborList:
    """Ranks the items with a score above 0.

    Args:
        cosines: [M, N] of `CommonUsers`; of the M >= N items that users took, the first N are ranked.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        history: number of the newest items that count.
    """

    def __init__(self, cosines: sparse.csr_array, tie: np.ndarray, history: int) -> None:
        self._cosines, self._tie, self.history = cosines, tie, history

    def among(self, items: np.ndarray, tie: np.ndarray) -> "NeighborList":
        """The list of some of the items; an item that is not in it has no neighbours.

        Args:
            items: [m] positions of the items that are read; the first n of them are ranked, in ascending order.
            tie: [n] their tie ranks.
        """
        known, number = self._cosines.shape[0], int(items.max(initial=-1)) + 1
        if len(tie) == number == known:
            return NeighborList(self._cosines, tie, self.history)
        cosines = self._cosines
        if number > known:
            cosines = cosines.copy()
            cosines.resize((number, number))
        return NeighborList(cosines[items][:, items[: len(tie)]].tocsr(), tie, self.history)

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
        weights = newest_first(taken, self.history, self._cosines.shape[0])
        return best_of_product(weights, self._cosines, self._tie, depth)


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


def best_of_product(weights: sparse.csr_array, table: sparse.csr_array, tie: np.ndarray, depth: int) -> Tensor:
    """`best_scored` of weights @ table, which is never held whole: at most ENTRIES scores at once, or those of one row.

    Args:
        weights: sparse [B, M].
        table: sparse [M, N].
        tie, depth: as for `best_scored`.
    """
    # no more scores than entries of the table that the row reads, and than items
    read = sparse.csr_array((np.diff(table.indptr)[weights.indices], weights.indices, weights.indptr), weights.shape)
    most = np.minimum(np.asarray(read.sum(axis=1), np.int64).ravel(), table.shape[1])
    heads = [np.zeros((0, depth), np.int64)]
    for first, end in _parts(most, ENTRIES):
        heads.append(best_scored((weights[first:end] @ table).tocsr(), tie, depth).numpy())
    return torch.from_numpy(np.concatenate(heads))


def _parts(sizes: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges [first, end) of rows whose sizes sum to `most` or less, or of one row.

    >>> list(_parts(np.array([2, 1, 9, 3]), 4))
    [(0, 2), (2, 3), (3, 4)]
    """
    sums, first = np.cumsum(sizes), 0
    while first < len(sizes):
        before = sums[first] - sizes[first]
        end = max(first + 1, int(np.searchsorted(sums, before + most, side="right")))
        yield first, end
        first = end


def best_scored(scores: sparse.csr_array, tie: np.ndarray, depth: int) -> Tensor:
    """[B, depth] positions by descending score, equal scores by tie rank, -1 behind them.

    Args:
        scores: sparse [B, N], above 0.
        tie: [N] int64.
        depth: number of positions.
    """
    rows, bounds = scores.shape[0], scores.indptr
    ranges = list(pairwise(bounds.tolist()))
    kept = [first + _foremost(scores.data[first:end], scores.indices[first:end], tie, depth) for first, end in ranges]
    counts = np.asarray([len(one) for one in kept], np.int64)
    entry, row = np.concatenate([np.zeros(0, np.int64), *kept]), np.repeat(np.arange(rows), counts)
    items = scores.indices[entry]
    order = np.lexsort((tie[items], -scores.data[entry], row))
    place = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
    best = place < depth
    heads = np.full((rows, depth), -1, np.int64)
    heads[row[best], place[best]] = items[order][best]
    return torch.from_numpy(heads)


def _foremost(scores: np.ndarray, items: np.ndarray, tie: np.ndarray, depth: int) -> np.ndarray:
    """Ascending places of one row's best `depth` entries, and of more where tie ranks at the cut are equal.

    Where most items have a score, sorting all of them costs a hundred times as much.

    Args:
        scores, items: [n] of the entries.
        tie: [N] int64.
        depth: number of places.
    """
    if len(scores) <= depth:
        return np.arange(len(scores))
    least = np.partition(scores, -depth)[-depth]
    above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
    ties = tie[items[equal]]
    last = depth - len(above) - 1
    return np.sort(np.concatenate([above, equal[ties <= np.partition(ties, last)[last]]]))
