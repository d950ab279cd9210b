"""RecBole's sequences without their copies: a row's history is a slice of one array, cut out when the row is read.

RecBole 1.2.1 copies each row's last `MAX_ITEM_LIST_LENGTH` values of each column when it loads (600 bytes a row at its
default of 50 for items and times), and again for each part of the split; here a row keeps where its history ends and
how long it is. Knows no split.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.data.split import user_starts


def row_ends(users: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a log, RecBole's: every action of a user but the first, behind at most `most` actions before it.

    Args:
        users: [n] int, one user's actions together.
        most: MAX_ITEM_LIST_LENGTH.

    Returns:
        [rows] where each row's target stands, which is where its history ends, and [rows] the history's length.
    """
    starts = user_starts(users)
    before = np.arange(len(users)) - np.repeat(starts, np.diff(np.r_[starts, len(users)]))
    targets = np.flatnonzero(before)
    return targets, np.minimum(before[targets], most)


class Sequences:
    """Cuts histories out of a log.

    Args:
        columns: name of the list to the [n] values of the log that it is cut from.
        width: of a list, the rest of it being zeros.
    """

    def __init__(self, columns: Mapping[str, Tensor], width: int) -> None:
        self._columns, self._width = dict(columns), width

    @property
    def names(self) -> list[str]:
        """Of the lists."""
        return list(self._columns)

    def cut(self, ends: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """[B, width] of each list, for rows as `row_ends` has them, int64 [B]."""
        return {name: self.column(name, ends, lengths) for name in self._columns}

    def column(self, name: str, ends: Tensor, lengths: Tensor) -> Tensor:
        """One of the lists."""
        place = torch.arange(self._width)
        inside = place < lengths[:, None]
        at = ((ends - lengths)[:, None] + place).where(inside, 0)
        return torch.where(inside, self._columns[name][at], 0)

    def renamed(self, names: Mapping[str, Tensor]) -> "Sequences":
        """The same with each value v of some lists become names[list][v]."""
        renamed = {name: names[name][values] for name, values in self._columns.items() if name in names}
        return Sequences(self._columns | renamed, self._width)
