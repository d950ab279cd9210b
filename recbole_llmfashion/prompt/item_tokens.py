"""Item tokens: new tokens of the vocabulary that stand for items in prompts and responses.

`atomic` gives each item one token, `semantic` several code tokens that items with similar titles share
(embedding/residual_codes.py). The order of tokens follows a hash of the item IDs and contains no information about time
or popularity. Their initial embeddings are computed in llm/modeling/item_embeddings.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from recbole_llmfashion.prompt.pieces.ragged import Ragged
from recbole_llmfashion.prompt.texts import item_texts

UNKNOWN = "?"  # decoded text of item tokens that belong to no item; counted as an unknown ID

ItemTokensName = Literal["text", "semantic", "atomic"]
CODES = 64  # codes per level of embedding/residual_codes.py


@dataclass(frozen=True)
class ItemTokens:
    """The item tokens of a catalogue.

    Args:
        ids: by catalogue position, int32 [n >= 1] token ids in [first, first + new_tokens).
        first: size of the vocabulary without item tokens.
        new_tokens: number of item tokens.
        words: by catalogue position, the token ids of the item's text, which initial embeddings are computed from.
        key: identifies the meaning of the tokens; embeddings trained under another key do not fit.
    """

    ids: Sequence[np.ndarray]
    first: int
    new_tokens: int
    words: Sequence[np.ndarray] = ()
    key: str = ""


def atomic_tokens(tie: np.ndarray, first: int, words: Sequence[np.ndarray] = (), key: str = "") -> ItemTokens:
    """One token per item.

    Args:
        tie: [N] int64 permutation, the fixed order of items (data.tie_breaking.tie_rank).
        first: size of the vocabulary.
        words, key: see ItemTokens.

    >>> [ids.tolist() for ids in atomic_tokens(np.array([2, 0, 1]), first=100).ids]
    [[102], [100], [101]]
    """
    return ItemTokens([np.asarray([first + rank], np.int32) for rank in tie.tolist()], first, len(tie), words, key)


def semantic_tokens(
    codes: np.ndarray, tie: np.ndarray, first: int, words: Sequence[np.ndarray] = (), key: str = ""
) -> ItemTokens:
    """One token per level of codes, and a last token that distinguishes items with equal codes.

    Args:
        codes: [N, L] int64, from 0 to CODES - 1 in each level.
        tie: [N] int64 permutation, the order of items with equal codes.
        first: size of the vocabulary.
        words, key: see ItemTokens; the number of item tokens is appended to the key.

    >>> tokens = semantic_tokens(np.array([[3, 5], [3, 5], [7, 5]]), np.array([1, 0, 2]), first=100)
    >>> [ids.tolist() for ids in tokens.ids]
    [[103, 169, 229], [103, 169, 228], [107, 169, 228]]
    """
    offsets = np.arange(codes.shape[1] + 1) * CODES
    _, groups = np.unique(codes, axis=0, return_inverse=True)
    order = np.lexsort((tie, groups.reshape(-1)))
    group = groups.reshape(-1)[order]
    start = np.searchsorted(group, group, side="left")
    last = np.empty(len(codes), np.int64)
    last[order] = np.arange(len(codes)) - start
    tokens = np.column_stack([codes + offsets[:-1], last + offsets[-1]]) + first
    new = int(offsets[-1] + last.max(initial=-1) + 1)
    return ItemTokens(list(tokens.astype(np.int32)), first, new, words, f"{key}-{new}")


def more_atomic_tokens(item_tokens: ItemTokens, count: int) -> ItemTokens:
    """Atomic tokens with `count` more items, each with the next unused token; `words` is unchanged."""
    ids = item_tokens.first + item_tokens.new_tokens + np.arange(count, dtype=np.int32)
    return replace(item_tokens, ids=[*item_tokens.ids, *ids[:, None]], new_tokens=item_tokens.new_tokens + count)


def more_semantic_tokens(item_tokens: ItemTokens, codes: np.ndarray) -> ItemTokens:
    """Semantic tokens with more items, each with the next unused last token for its codes; `words` is unchanged.

    Args:
        item_tokens: of the present items.
        codes: [n, L] int64 of the new items, see `semantic_tokens`.
    """
    offsets = item_tokens.first + np.arange(codes.shape[1] + 1) * CODES
    used: dict[tuple[int, ...], int] = {}
    for *head, last in (ids.tolist() for ids in item_tokens.ids):
        used[tuple(head)] = max(used.get(tuple(head), 0), last + 1)
    ids, end = list(item_tokens.ids), item_tokens.first + item_tokens.new_tokens
    for tokens in (codes + offsets[:-1]).tolist():
        last = used.get(tuple(tokens), int(offsets[-1]))
        used[tuple(tokens)] = last + 1
        ids.append(np.asarray([*tokens, last], np.int32))
        end = max(end, last + 1)
    return replace(item_tokens, ids=ids, new_tokens=end - item_tokens.first)


def item_words(
    tokenizer: Any, titles: Sequence[str], attributes: Mapping[str, Sequence[str]], names: Sequence[str]
) -> list[np.ndarray]:
    """Token ids of each item's title and the start of its attributes in lower case, like queries; int64 arrays.

    Args:
        tokenizer: the backbone's.
        titles: by catalogue position.
        attributes: for each attribute name, texts by catalogue position.
        names: the attributes to use.
    """
    texts = item_texts(titles, attributes, names)
    rows_of_ids = Ragged.tokenized(tokenizer, [f" {text.lower()}" for text in texts])
    return [ids.astype(np.int64) for ids in rows_of_ids]


class ItemDecoder:
    """Decodes token ids to text, with item tokens written as item IDs.

    It has the attributes of a tokenizer that generation needs.

    Args:
        tokenizer: decodes all other tokens.
        item_ids: by catalogue position, the item's token ids.
        names: by catalogue position, the item's ID as text.
        first: the first item token; all ids from here on are item tokens.
    """

    def __init__(self, tokenizer: Any, item_ids: Sequence[np.ndarray], names: Sequence[str], first: int) -> None:
        self._tokenizer, self._first = tokenizer, first
        self.eos_token_id, self.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        self._name = {tuple(ids.tolist()): name for ids, name in zip(item_ids, names, strict=True)}
        self._lengths = sorted({len(ids) for ids in item_ids}, reverse=True)

    def decode(self, ids: Sequence[int], **options: Any) -> str:
        """Decodes ids to text.

        Args:
            ids: token ids; item tokens that belong to no item are decoded as UNKNOWN.
            options: passed to the tokenizer's `decode`.
        """
        texts: list[str] = []
        start, at = 0, 0
        while at < len(ids):
            if ids[at] < self._first:
                at += 1
                continue
            texts.append(self._tokenizer.decode(list(ids[start:at]), **options) if at > start else "")
            name, length = self._item_at(ids, at)
            texts.append(f" {name}")
            start = at = at + length
        texts.append(self._tokenizer.decode(list(ids[start:]), **options) if start < len(ids) else "")
        return "".join(texts)

    def _item_at(self, ids: Sequence[int], at: int) -> tuple[str, int]:
        """The ID of the item whose tokens start at `at`, and how many tokens it has."""
        for length in self._lengths:
            name = self._name.get(tuple(map(int, ids[at : at + length])))
            if name is not None:
                return name, length
        return UNKNOWN, self._unknown_length(ids, at)

    def _unknown_length(self, ids: Sequence[int], at: int) -> int:
        """The number of item tokens from `at` on, up to the largest number of tokens of an item."""
        length = 1
        while length < self._lengths[0] and at + length < len(ids) and ids[at + length] >= self._first:
            length += 1
        return length
