"""Cells of the data as the backbone's tokenizer reads them.

A tokenizer may normalize a text before it splits it: NFKC turns the full-width bar U+FF5C into "|", lower-casing turns
`<EOS>` into `<eos>`, BERT's cleaning removes the zero-width space in `<` U+200B `eos>`. A cell is therefore sanitized
by what the normalizer makes of it, and a special id that is left is removed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from recbole_llmfashion.prompt.pieces.ragged import CHUNK, Ragged
from recbole_llmfashion.prompt.texts import TextSanitizer, character_end


def special_strings(tokenizer: Any) -> tuple[str, ...]:
    """All special and added tokens of the tokenizer, as they are written and as they are matched."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    tokens = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    if normalizer is not None:
        added = tokenizer.added_tokens_decoder.values()
        tokens |= {normalizer.normalize_str(token.content) for token in added if token.normalized}
    return tuple(sorted(tokens))


def _special_ids(tokenizer: Any) -> np.ndarray:
    """int64, the ids that text of the data must not have; an unknown character may have the unknown token."""
    ids = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    unknown = tokenizer.unk_token_id
    if unknown not in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id):  # GPT-2: all are one
        ids.discard(unknown)
    blank = {i for token, i in tokenizer.get_added_vocab().items() if not token.strip()}  # runs of spaces are no marks
    return np.asarray(sorted(ids - blank), np.int64)


class CellTokenizer:
    """Turns cells of the data into token ids.

    Args:
        tokenizer: a fast tokenizer of transformers.

    Attributes:
        sanitize: makes a text safe for prompts of this tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        normalizer = tokenizer.backend_tokenizer.normalizer
        self.sanitize = TextSanitizer(
            special_strings(tokenizer), None if normalizer is None else normalizer.normalize_str
        )
        self._tokenizer, self._special = tokenizer, _special_ids(tokenizer)

    def words(self, texts: Sequence[str]) -> Ragged:
        """The token ids of words of the template, which may hold what cells may not."""
        return Ragged.tokenized(self._tokenizer, texts)

    def ids(self, texts: Sequence[str]) -> Ragged:
        """The token ids of sanitized texts.

        The vocabulary of a word-level or unigram model may hold a special token in a form that no text comparison
        finds, so special ids are removed here.
        """
        rows = Ragged.tokenized(self._tokenizer, texts)
        special = np.isin(rows.flat, self._special)
        if not special.any():
            return rows
        owner = np.repeat(np.arange(len(rows)), rows.lengths)[~special]
        return Ragged(rows.flat[~special], np.bincount(owner, minlength=len(rows)))

    def cut(self, texts: Sequence[str], limits: np.ndarray, keep: int = 0) -> Ragged:
        """The token ids of the longest starts of sanitized texts that have at most so many tokens.

        A text ends after a whole character with its marks. If the first one is too long, it loses marks; if nothing
        fits, the row is empty.

        Args:
            texts: sanitized texts.
            limits: int64 [n], largest number of tokens.
            keep: number of characters at the start of each text that belong to the template.
        """
        starts = [
            # the tokens of one character all have its offsets
            text if len(offsets) <= limit else _shorter(text, offsets[limit][0], keep)
            for text, limit, offsets in zip(texts, limits.tolist(), self._offsets(texts), strict=True)
        ]
        rows = self.ids(starts)
        while len(over := np.flatnonzero(rows.lengths > limits)):  # a start may have more tokens than in the whole text
            for row in over:
                starts[row] = _shorter(starts[row], len(starts[row]) - 1, keep)
            rows = rows.replaced(over, self.ids([starts[row] for row in over]))
        return rows

    def _offsets(self, texts: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
        """Start and end of each token in its text."""
        for start in range(0, len(texts), CHUNK):
            part = list(texts[start : start + CHUNK])
            yield from self._tokenizer(part, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]


def _shorter(text: str, end: int, keep: int) -> str:
    """A text up to a position, or a few characters less; empty if no character after the first `keep` is left."""
    whole = character_end(text, end)
    start = text[: whole if text[keep:whole].strip() else end].rstrip()
    return start if len(start) > keep else ""
