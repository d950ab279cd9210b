"""Training rows that hold several targets each: the user's last row, then the last one that it does not contain.

A row of RecBole is (prefix -> next item). The items of its prefix, but the first, are targets of earlier rows of the
same user, so a loss at every position of a few rows has the targets of all rows, each once.
"""

from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction

from recbole_llmfashion.data.dataset import HISTORY_END, LLMFashionRecDataset

LEARNED = "learned_positions"  # [B, L] bool, whether the item after a position is a training target of this row


def cover(ends: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The fewest rows whose positions hold every target, from the last one backwards.

    Args:
        ends: [R] index in the log of each row's target, ascending within a user, users after one another.
        lengths: [R] length of each row's history; row r holds the targets ends[r] - lengths[r] + 1 .. ends[r].

    Returns:
        indices of rows, ascending.

    >>> cover(np.array([1, 2, 3, 4, 7]), np.array([1, 2, 2, 2, 1])).tolist()  # targets 1 to 4 of one user, 7 of another
    [1, 3, 4]
    """
    chosen, first = [], np.inf
    for row in range(len(ends) - 1, -1, -1):
        if ends[row] < first:
            chosen.append(row)
            first = ends[row] - lengths[row] + 1
    return np.asarray(chosen[::-1], np.int64)


def whole_sequences(dataset: LLMFashionRecDataset) -> LLMFashionRecDataset:
    """A copy of a training part with the rows of `cover`, and LEARNED beside them.

    With `train_targets: purchase` a click inside a sequence is not learned. No other row than those of the part is
    read, so no target of validation or test is.
    """
    feat: Any = dataset.inter_feat
    order = np.argsort(feat[HISTORY_END].numpy(), kind="stable")
    ends, lengths = feat[HISTORY_END].numpy()[order], feat[dataset.item_list_length_field].numpy()[order]
    chosen = cover(ends, lengths)
    rows = torch.from_numpy(order[chosen])
    width = dataset.max_item_list_len
    positions = (ends - lengths + 1)[chosen, None] + np.arange(width)
    # a row that follows covers what its positions hold; the first of its user may hold targets of the one before
    before = np.r_[-1, ends[chosen][:-1]]
    inside = (np.arange(width) < lengths[chosen, None]) & (positions > before[:, None])
    learned = inside & np.isin(positions, ends)
    columns = {name: feat[name][rows] for name in feat.columns}
    copied: LLMFashionRecDataset = dataset.copy(Interaction(columns | {LEARNED: torch.from_numpy(learned)}))
    return copied
