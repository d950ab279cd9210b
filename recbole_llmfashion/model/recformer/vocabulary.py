"""Recformer's tokenizer: byte-level pieces, a first token and a mask, made here or a Longformer's own.

Knows no items and no model. A string is tokenized by itself, without special tokens and without a space before its
first word.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.tiny_falcon import train_tokenizer

BOS, MASK = "<s>", "<mask>"
WORD_MARKS = ("Ġ", "▁")  # how byte-level and sentence-piece vocabularies write a space


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer as the rest of the folder sees it.

    Args:
        tokenizer: fast, with a first token, padding and a mask.
    """

    tokenizer: Any

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Vocabulary":
        """The LLM's embedded tokenizer, trained on these texts, with two more tokens."""
        tokenizer = train_tokenizer(texts, vocab_size)
        tokenizer.add_special_tokens({"bos_token": BOS, "mask_token": MASK})
        return cls(tokenizer)

    @classmethod
    def load(cls, name_or_path: str) -> "Vocabulary":
        """From a hub or a folder.

        Raises:
            UserError: there is none, or it lacks a token that Recformer needs.
        """
        try:
            tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
        except Exception as error:  # hub, cache and file readers have no common error; tokenizers raises this one
            reason = " ".join(str(error).split())[:160]
            raise UserError(
                f"recformer_name_or_path: {name_or_path}: no tokenizer could be loaded ({reason}); check the name and "
                "the network, or use a local folder or `embedded`"
            ) from error
        ids = (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id)
        if not tokenizer.is_fast or None in ids:
            raise UserError(
                f"recformer_name_or_path: the tokenizer of {name_or_path} lacks a fast version, a first token, padding "
                "or a mask; name a Longformer"
            )
        return cls(tokenizer)

    def save(self, folder: Path) -> None:
        """Writes what `load` reads."""
        self.tokenizer.save_pretrained(str(folder))

    def __len__(self) -> int:
        return len(self.tokenizer)

    def __call__(self, texts: list[str]) -> list[list[int]]:
        """Ids of each text."""
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        return ids

    @property
    def bos_id(self) -> int:
        """The first token's."""
        return int(self.tokenizer.bos_token_id)

    @property
    def pad_id(self) -> int:
        """The padding's."""
        return int(self.tokenizer.pad_token_id)

    @property
    def mask_id(self) -> int:
        """The mask's."""
        return int(self.tokenizer.mask_token_id)

    @property
    def special_tokens(self) -> Sequence[str]:
        """Strings that the tokenizer would not read as text."""
        return tuple(self.tokenizer.all_special_tokens)

    def starts_word(self) -> np.ndarray:
        """[V] bool, whether a piece opens a word."""
        pieces = self.tokenizer.convert_ids_to_tokens(list(range(len(self))))
        return np.array([piece.startswith(WORD_MARKS) for piece in pieces])
