"""Token ids back to text where items have tokens of their own: an item's tokens read as its ID does.

It stands where a tokenizer stands in generation, so that responses read alike whatever names an item. Knows no model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

UNKNOWN = "?"  # item tokens that name no item; such an ID is read, found in no catalogue, and counted


class Speech:
    """Decoding with item tokens.

    Args:
        tokenizer: for all other tokens.
        item_ids: by item, its token ids.
        names: by item, its ID as text.
        first: ids from here on are item tokens.
    """

    def __init__(self, tokenizer: Any, item_ids: Sequence[np.ndarray], names: Sequence[str], first: int) -> None:
        self._tokenizer, self._first = tokenizer, first
        self.eos_token_id, self.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        self._name = {tuple(ids.tolist()): name for ids, name in zip(item_ids, names, strict=True)}
        self._lengths = sorted({len(ids) for ids in item_ids}, reverse=True)

    def decode(self, ids: Sequence[int], **options: Any) -> str:
        """Text; `options` are the tokenizer's."""
        texts: list[str] = []
        start, at = 0, 0
        while at < len(ids):
            if ids[at] < self._first:
                at += 1
                continue
            texts.append(self._tokenizer.decode(list(ids[start:at]), **options) if at > start else "")
            name, length = self._read(ids, at)
            texts.append(f" {name}")
            start = at = at + length
        texts.append(self._tokenizer.decode(list(ids[start:]), **options) if start < len(ids) else "")
        return "".join(texts)

    def _read(self, ids: Sequence[int], at: int) -> tuple[str, int]:
        for length in self._lengths:
            name = self._name.get(tuple(map(int, ids[at : at + length])))
            if name is not None:
                return name, length
        return UNKNOWN, self._unknown(ids, at)

    def _unknown(self, ids: Sequence[int], at: int) -> int:
        """How many item tokens from `at` on are one ID that no item has: at most as many as an item has."""
        length = 1
        while length < self._lengths[0] and at + length < len(ids) and ids[at + length] >= self._first:
            length += 1
        return length
