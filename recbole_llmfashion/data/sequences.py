"""RecBole's item sequences without copies: a row's history is a slice of the log, cut out when the row is read.

RecBole 1.2.1 copies the last `MAX_ITEM_LIST_LENGTH` values of each column for each row when it loads a dataset (600
bytes per row at its default of 50 for items and times), and again for each part of the split. Here a row stores only
the end and the length of its history.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.data.split import user_starts


def row_ends(users: np.ndarray, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """RecBole's rows of a log: every action of a user except the first is the target of one row.

    Args:
        users: [n] int, grouped by user.
        max_length: longest history, RecBole's MAX_ITEM_LIST_LENGTH.

    Returns:
        ends: [rows] index of each row's target, which is one behind the end of its history.
        lengths: [rows] length of each row's history.

    >>> ends, lengths = row_ends(np.array([1, 1, 1, 1, 2, 2]), max_length=2)
    >>> ends.tolist(), lengths.tolist()
    ([1, 2, 3, 5], [1, 2, 2, 1])
    """
    starts = user_starts(users)
    before = np.arange(len(users)) - np.repeat(starts, np.diff(np.r_[starts, len(users)]))
    targets = np.flatnonzero(before)
    return targets, np.minimum(before[targets], max_length)


class Sequences:
    """Cuts histories out of a log.

    Args:
        columns: name of the sequence -> [n] values of the log.
        width: length of every sequence; shorter histories are padded with zeros at the end.
    """

    def __init__(self, columns: Mapping[str, Tensor], width: int) -> None:
        self._columns, self._width = dict(columns), width

    @property
    def names(self) -> list[str]:
        """Names of the sequences."""
        return list(self._columns)

    def cut(self, ends: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """[B, width] of every sequence, for ends and lengths [B] int64 as returned by `row_ends`."""
        return {name: self.column(name, ends, lengths) for name in self._columns}

    def column(self, name: str, ends: Tensor, lengths: Tensor) -> Tensor:
        """[B, width] of one sequence; arguments as in `cut`."""
        offset = torch.arange(self._width)
        inside = offset < lengths[:, None]
        index = ((ends - lengths)[:, None] + offset).where(inside, 0)
        return torch.where(inside, self._columns[name][index], 0)

    def renamed(self, mappings: Mapping[str, Tensor]) -> "Sequences":
        """A copy in which each value v of sequence s becomes mappings[s][v]; other sequences stay."""
        renamed = {name: mappings[name][values] for name, values in self._columns.items() if name in mappings}
        return Sequences(self._columns | renamed, self._width)
