"""Rows of token ids of different lengths in one flat array, so that a large catalogue is not millions of objects."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, overload

import numpy as np

CHUNK = 20_000  # texts per call of the tokenizer, whose encodings take some kilobytes each


class Ragged(Sequence[np.ndarray]):
    """Rows of different lengths.

    Args:
        flat: [T] int32, the concatenated rows.
        lengths: [N] int64.

    >>> rows = Ragged.of([[5, 6], [], [7]])
    >>> len(rows), rows[0].tolist(), rows[2].tolist(), rows.flat.tolist()
    (3, [5, 6], [7], [5, 6, 7])
    """

    def __init__(self, flat: np.ndarray, lengths: np.ndarray) -> None:
        self.flat, self.lengths = flat, lengths
        self.bounds = np.r_[0, np.cumsum(lengths)]
        self._bounds = memoryview(self.bounds)  # indexing it returns int, in a third of the time

    def __reduce__(self) -> tuple[type["Ragged"], tuple[np.ndarray, np.ndarray]]:
        return Ragged, (self.flat, self.lengths)  # a memoryview cannot be pickled

    @classmethod
    def of(cls, rows: Iterable[Sequence[int] | np.ndarray]) -> "Ragged":
        """From an iterable of rows."""
        arrays = [np.asarray(row, np.int32) for row in rows]
        lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
        return cls(np.concatenate([np.zeros(0, np.int32), *arrays]), lengths)

    @classmethod
    def tokenized(cls, tokenizer: Any, texts: Sequence[str]) -> "Ragged":
        """The token ids of each text, without special tokens."""
        flat, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for start in range(0, len(texts), CHUNK):
            part = list(texts[start : start + CHUNK])
            ids = tokenizer(part, add_special_tokens=False, return_attention_mask=False)["input_ids"]
            lengths.append(np.fromiter(map(len, ids), np.int64, len(ids)))
            flat.append(np.fromiter(chain.from_iterable(ids), np.int32, int(lengths[-1].sum())))
        return cls(np.concatenate(flat), np.concatenate(lengths))

    @classmethod
    def joined(cls, rows: int, *parts: "Ragged | np.ndarray") -> "Ragged":
        """Concatenates parts row by row; an array [n] is repeated in every row.

        >>> [row.tolist() for row in Ragged.joined(2, Ragged.of([[5], [6, 7]]), np.array([0]))]
        [[5, 0], [6, 7, 0]]
        """
        columns = [
            part if isinstance(part, Ragged) else cls.of([part]).take(np.zeros(rows, np.int64)) for part in parts
        ]
        lengths = np.sum([np.zeros(rows, np.int64), *(part.lengths for part in columns)], axis=0)
        at = np.cumsum(lengths) - lengths
        flat = np.empty(int(lengths.sum()), np.int32)
        for part in columns:
            flat[_spread(at, part.lengths)] = part.flat
            at = at + part.lengths
        return cls(flat, lengths)

    def take(self, rows: np.ndarray) -> "Ragged":
        """The rows with these indices, int64 [M]."""
        lengths = self.lengths[rows]
        return Ragged(self.flat[_spread(self.bounds[:-1][rows], lengths)], lengths)

    def replaced(self, rows: np.ndarray, by: "Ragged") -> "Ragged":
        """With other content in some rows.

        Args:
            rows: int64 [M] indices.
            by: M rows.
        """
        source = np.arange(len(self))
        source[rows] = len(self) + np.arange(len(by))
        return Ragged(np.r_[self.flat, by.flat], np.r_[self.lengths, by.lengths]).take(source)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "Ragged": ...
    def __getitem__(self, index: int | slice) -> "np.ndarray | Ragged":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        row = range(len(self._bounds) - 1)[index]
        return self.flat[self._bounds[row] : self._bounds[row + 1]]


def _spread(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """For each row the numbers starts[i], starts[i] + 1, .. (lengths[i] of them), concatenated."""
    return np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
