"""Items and queries as key-value pairs, and histories as sequences of them, as token ids.

arXiv 2305.13731, section 2.1. An entry is an item, numbered by its catalogue position, or a query, numbered after all
items. RecformerQuery reads a query as an item whose only attribute is `query`; it is added to the items and takes no
item's place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

BOS_TYPE, NAME_TYPE, VALUE_TYPE, PAD_TYPE = 0, 1, 2, 3
TYPES = 4
Tokenize = Callable[[list[str]], list[list[int]]]


@dataclass(frozen=True)
class TokenRows:
    """The token ids of n entries in one flat array.

    Args:
        ids: [T] int32.
        types: [T] int8, NAME_TYPE or VALUE_TYPE.
        ptr: [n + 1] int64, entry i is ids[ptr[i]:ptr[i + 1]].
    """

    ids: np.ndarray
    types: np.ndarray
    ptr: np.ndarray

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def __add__(self, other: "TokenRows") -> "TokenRows":
        return TokenRows(
            np.r_[self.ids, other.ids], np.r_[self.types, other.types], np.r_[self.ptr, self.ptr[-1] + other.ptr[1:]]
        )

    @property
    def lengths(self) -> np.ndarray:
        """[n] number of tokens of each entry."""
        return np.diff(self.ptr)

    @cached_property
    def hashes(self) -> np.ndarray:
        """[n] uint64 digest of each entry, equal for equal entries; the inputs of stages contain it."""
        ids, types = self.ids.astype(np.int32), self.types.astype(np.int8)
        digests = (
            blake2b(ids[start:stop].tobytes() + types[start:stop].tobytes(), digest_size=8).digest()
            for start, stop in zip(self.ptr[:-1], self.ptr[1:], strict=True)
        )
        return np.frombuffer(b"".join(digests), np.uint64)


def flatten(columns: Mapping[str, Sequence[str]], tokenize: Tokenize, attribute_tokens: int) -> TokenRows:
    """Each entry as name_1 value_1 name_2 value_2 ..; names and values are tokenized separately, empty values omitted.

    Args:
        columns: for each attribute name the values of the n entries, in the order of the attributes in an entry.
        tokenize: texts to ids without special tokens.
        attribute_tokens: maximum number of tokens of a name with its value.
    """
    pieces = []
    for name, values in columns.items():
        [name_ids] = tokenize([name])
        distinct = list(dict.fromkeys(values))
        cut = {
            value: (np.array([*name_ids, *ids][:attribute_tokens], np.int32), min(len(name_ids), attribute_tokens))
            for value, ids in zip(distinct, tokenize(distinct) if distinct else [], strict=True)
            if value
        }
        pieces.append([cut.get(value) for value in values])
    rows = [[piece for piece in row if piece] for row in zip(*pieces, strict=True)]
    ids = [array for row in rows for array, _ in row]
    types = [np.where(np.arange(len(array)) < names, NAME_TYPE, VALUE_TYPE) for row in rows for array, names in row]
    lengths = [sum(len(array) for array, _ in row) for row in rows]
    return TokenRows(
        np.concatenate([np.zeros(0, np.int32), *ids]),
        np.concatenate([np.zeros(0, np.int8), *types]).astype(np.int8),
        np.r_[0, np.cumsum(lengths, dtype=np.int64)],
    )


@dataclass(frozen=True)
class SequenceShape:
    """The form of token sequences.

    Args:
        bos_id, pad_id: the tokenizer's.
        max_items: maximum number of items of a sequence; the most recent ones are kept, and the queries among them.
        max_tokens: maximum number of tokens including bos; the last entry may be cut.
        multiple: padded lengths are multiples of this, the width of the attention window.
    """

    bos_id: int
    pad_id: int
    max_items: int
    max_tokens: int
    multiple: int


@dataclass(frozen=True)
class TokenBatch:
    """Right-padded sequences.

    Args:
        ids, types, item_positions: [B, T] int64; item position 0 is the bos token, the others are of `item_places`.
        mask: [B, T] int64, 1 at tokens.
    """

    ids: Tensor
    types: Tensor
    item_positions: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "TokenBatch":
        """The same batch on another device."""
        return replace(self, **{name: tensor.to(device) for name, tensor in vars(self).items()})

    def with_copy(self, ids: Tensor) -> "TokenBatch":
        """A batch of [2B, T]: this batch, followed by a copy with other ids."""
        both = {name: tensor.repeat(2, 1) for name, tensor in vars(self).items()}
        return replace(self, **both | {"ids": torch.cat([self.ids, ids])})


def item_places(entries: np.ndarray, n_items: int) -> np.ndarray:
    """[n] the place of each entry: an item has its number from the most recent item on, a query that of the next older.

    Args:
        entries: entry numbers, most recent first.
        n_items: number of items; the entries from this number on are queries.

    >>> item_places(np.array([8, 5, 4, 7, 3]), n_items=6).tolist()
    [1, 1, 2, 3, 3]
    """
    items = entries < n_items
    return 1 + items.cumsum() - items


def newest(entries: np.ndarray, n_items: int, max_items: int) -> np.ndarray:
    """The entries up to the item number `max_items`, most recent first, with the queries among these items.

    >>> newest(np.array([8, 5, 4, 7, 3]), n_items=6, max_items=2).tolist()
    [8, 5, 4]
    """
    return entries[item_places(entries, n_items) <= max_items]


def collate(rows: TokenRows, histories: Sequence[np.ndarray], shape: SequenceShape, n_items: int) -> TokenBatch:
    """One sequence per history: bos, then the tokens of its entries; bos only for an empty history.

    Args:
        rows: all entries.
        histories: entry numbers, most recent first.
        shape: see SequenceShape.
        n_items: number of items; the entries from this number on are queries.
    """
    sequences = [_sequence(rows, newest(history, n_items, shape.max_items), shape, n_items) for history in histories]
    width = -(-max(len(ids) for ids, _, _ in sequences) // shape.multiple) * shape.multiple
    pads = {"ids": shape.pad_id, "types": PAD_TYPE, "item_positions": shape.max_items, "mask": 0}
    out = {name: np.full((len(sequences), width), value, np.int64) for name, value in pads.items()}
    for row, (ids, types, positions) in enumerate(sequences):
        columns = {"ids": ids, "types": types, "item_positions": positions, "mask": np.ones_like(ids)}
        for name, values in columns.items():
            out[name][row, : len(ids)] = values
    return TokenBatch(**{name: torch.from_numpy(array) for name, array in out.items()})


def _sequence(
    rows: TokenRows, entries: np.ndarray, shape: SequenceShape, n_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ids, types and item positions of one sequence."""
    spans = [slice(rows.ptr[entry], rows.ptr[entry + 1]) for entry in entries]
    ids = np.concatenate([[shape.bos_id], *(rows.ids[span] for span in spans)])
    types = np.concatenate([[BOS_TYPE], *(rows.types[span] for span in spans)])
    places = np.r_[0, item_places(entries, n_items)]
    positions = np.repeat(places, [1, *(span.stop - span.start for span in spans)])
    return ids[: shape.max_tokens], types[: shape.max_tokens], positions[: shape.max_tokens]
