"""Recformer's tokenizer with bos and mask tokens: trained here, or that of a pretrained Longformer.

Each string is tokenized separately, without special tokens and without a space before its first word.
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
SPACES = ("Ġ", "▁")  # the space in byte-level and sentence-piece vocabularies


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer with bos, pad and mask tokens.

    Args:
        tokenizer: a fast tokenizer of transformers.
    """

    tokenizer: Any

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Vocabulary":
        """Trains a tokenizer like that of tiny-falcon on these texts and adds bos and mask tokens."""
        tokenizer = train_tokenizer(texts, vocab_size)
        tokenizer.add_special_tokens({"bos_token": BOS, "mask_token": MASK})
        return cls(tokenizer)

    @classmethod
    def load(cls, name_or_path: str) -> "Vocabulary":
        """Loads a tokenizer from a hub or a folder.

        Raises:
            UserError: there is none, it is not fast, or it has no bos, pad or mask token.
        """
        try:
            tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
        except Exception as error:  # hub, cache and file readers have no common base class; tokenizers raises Exception
            reason = " ".join(str(error).split())[:160]
            raise UserError(
                f"recformer_name_or_path: no tokenizer could be loaded from '{name_or_path}' ({reason}); check the "
                "name and the network, or use a local folder or `embedded`"
            ) from error
        ids = (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id)
        if not tokenizer.is_fast or None in ids:
            raise UserError(
                f"recformer_name_or_path: the tokenizer of {name_or_path} has no fast version or no bos, pad or mask "
                "token; name a Longformer"
            )
        return cls(tokenizer)

    def save(self, folder: Path) -> None:
        """Writes the files that `load` reads."""
        self.tokenizer.save_pretrained(str(folder))

    def __len__(self) -> int:
        return len(self.tokenizer)

    def __call__(self, texts: list[str]) -> list[list[int]]:
        """The token ids of each text."""
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        return ids

    @property
    def bos_id(self) -> int:
        """Id of the bos token."""
        return int(self.tokenizer.bos_token_id)

    @property
    def pad_id(self) -> int:
        """Id of the pad token."""
        return int(self.tokenizer.pad_token_id)

    @property
    def mask_id(self) -> int:
        """Id of the mask token."""
        return int(self.tokenizer.mask_token_id)

    @property
    def special_tokens(self) -> Sequence[str]:
        """Strings that the tokenizer reads as special tokens."""
        return tuple(self.tokenizer.all_special_tokens)

    def starts_word(self) -> np.ndarray:
        """[V] bool, whether a token starts a word."""
        tokens = self.tokenizer.convert_ids_to_tokens(list(range(len(self))))
        return np.array([token.startswith(SPACES) for token in tokens])
