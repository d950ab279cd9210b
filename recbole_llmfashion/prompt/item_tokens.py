"""What names an item in prompts and answers where its token as text does not: new tokens of the vocabulary.

`atomic` gives each item a token of its own, `semantic` a few code tokens that items with similar titles share
(embedding/codes.py). The numbers of tokens say nothing: they follow the fixed hash of the items' tokens, neither time
nor popularity. The index knows no model; what the new tokens' embeddings begin as is llm/item_rows.py's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from recbole_llmfashion.prompt.ragged import Ragged

UNKNOWN = "?"  # item tokens that name no item; such an ID is read, found in no catalogue, and counted


ItemTokensName = Literal["text", "semantic", "atomic"]
CODES = 64  # in each level of embedding/codes.py


@dataclass(frozen=True)
class ItemTokens:
    """Token ids of every item, and what their embeddings begin as.

    Args:
        ids: by catalogue position, int32 [n >= 1], all of them in [first, first + new_tokens).
        first: the vocabulary's size without them.
        new_tokens: how many tokens are new.
        words: by catalogue position, the token ids of the item's text.
        key: names what the tokens mean: rows that were trained under one key are no rows of another.
    """

    ids: Sequence[np.ndarray]
    first: int
    new_tokens: int
    words: Sequence[np.ndarray] = ()
    key: str = ""


def atomic_tokens(tie: np.ndarray, first: int, words: Sequence[np.ndarray] = (), key: str = "") -> ItemTokens:
    """One token an item.

    Args:
        tie: [N] int64 permutation, the fixed order of items (data.fixed_order.tie_rank).
        first: the vocabulary's size.
        words, key: see ItemTokens.
    """
    return ItemTokens([np.asarray([first + rank], np.int32) for rank in tie.tolist()], first, len(tie), words, key)


def semantic_tokens(
    codes: np.ndarray, tie: np.ndarray, first: int, words: Sequence[np.ndarray] = (), key: str = ""
) -> ItemTokens:
    """A token for each level's code, and a last one that tells apart the items whose codes are equal.

    Args:
        codes: [N, L] int64, from 0 to CODES - 1 in every level.
        tie: [N] int64 permutation; decides which of the equal ones is the first.
        first: the vocabulary's size.
        words, key: see ItemTokens; the key gains the number of last tokens.
    """
    offsets = np.arange(codes.shape[1] + 1) * CODES
    _, same = np.unique(codes, axis=0, return_inverse=True)
    order = np.lexsort((tie, same.reshape(-1)))
    group = same.reshape(-1)[order]
    start = np.searchsorted(group, group, side="left")
    last = np.empty(len(codes), np.int64)
    last[order] = np.arange(len(codes)) - start
    tokens = np.column_stack([codes + offsets[:-1], last + offsets[-1]]) + first
    new = int(offsets[-1] + last.max(initial=-1) + 1)
    return ItemTokens(list(tokens.astype(np.int32)), first, new, words, f"{key}-{new}")


def more_atomic_tokens(item_tokens: ItemTokens, count: int) -> ItemTokens:
    """An atomic index with `count` items more, each named by the next token that no item has had; words as before."""
    ids = item_tokens.first + item_tokens.new_tokens + np.arange(count, dtype=np.int32)
    return replace(item_tokens, ids=[*item_tokens.ids, *ids[:, None]], new_tokens=item_tokens.new_tokens + count)


def more_semantic_tokens(item_tokens: ItemTokens, codes: np.ndarray) -> ItemTokens:
    """A semantic index with more items, each of whose last tokens no item of equal codes has had; words as before.

    Args:
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
    """Token ids of each item's title and attributes, int64, in lower case, as queries are typed.

    Args:
        tokenizer: the backbone's.
        titles: by catalogue position.
        attributes: by name, texts by catalogue position.
        names: which attributes count.
    """
    rows = [attributes[name] for name in names]
    texts = [" ".join([title, *(row[i] for row in rows if row[i])]) for i, title in enumerate(titles)]
    made = Ragged.tokenized(tokenizer, [f" {text.lower()}" for text in texts])
    return [ids.astype(np.int64) for ids in made]


class ItemDecoder:
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
