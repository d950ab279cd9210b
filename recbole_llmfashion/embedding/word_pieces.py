"""A small BPE tokenizer for the title model and the CLIP tower: texts -> padded ids.

Merges are learned within words, whose beginning is marked, so a misspelled word shares pieces with the correct one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

PAD, UNKNOWN = "[pad]", "[unk]"
PAD_ID, UNKNOWN_ID = 0, 1


class TextTokenizer:
    """Lower-cased, NFKC-normalized BPE; id 0 is padding, id 1 the unknown piece.

    Args:
        tokenizer: a trained tokenizer whose ids 0 and 1 are `PAD` and `UNKNOWN`.

    Raises:
        ValueError: the tokenizer has other ids for them.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        if (tokenizer.token_to_id(PAD), tokenizer.token_to_id(UNKNOWN)) != (PAD_ID, UNKNOWN_ID):
            raise ValueError(f"{PAD} and {UNKNOWN} must have the ids {PAD_ID} and {UNKNOWN_ID}")
        # a text "[pad]" is ordinary text, not padding
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "TextTokenizer":
        """Learn the pieces of a corpus; the order of its texts does not matter.

        Args:
            texts: the corpus; repetitions count.
            vocab_size: largest number of pieces, the two special ones included.
        """
        corpus = sorted(texts)
        # not WordPiece: its trainer numbers pieces in the order of a randomly seeded hash map
        tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Whitespace(), pre_tokenizers.Metaspace(prepend_scheme="always", split=False)]
        )
        alphabet = _alphabet(tokenizer, corpus, most=max(vocab_size // 2, 1))
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[PAD, UNKNOWN],
            initial_alphabet=alphabet,
            limit_alphabet=max(len(alphabet), 1),
            min_frequency=2,
            show_progress=False,
        )
        tokenizer.train_from_iterator(corpus, trainer)
        return cls(tokenizer)

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Piece ids, truncated to `max_length` and padded with 0 to the longest text.

        Returns:
            [n, longest] int64; an empty text is one unknown piece.
        """
        rows = [e.ids[:max_length] or [UNKNOWN_ID] for e in self._tokenizer.encode_batch_fast(list(texts))]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        ids = np.full((len(rows), int(lengths.max(initial=0))), PAD_ID, dtype=np.int64)
        if len(rows):
            ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(rows)
        return torch.from_numpy(ids)

    @property
    def size(self) -> int:
        """Number of ids, the special ones included."""
        return self._tokenizer.get_vocab_size()

    def save(self, path: Path) -> None:
        """Write the tokenizer as one JSON file."""
        path.write_text(self._tokenizer.to_str(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "TextTokenizer":
        """Load a tokenizer written by `save`."""
        return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))


def _alphabet(tokenizer: Tokenizer, corpus: list[str], most: int) -> list[str]:
    """The `most` most frequent characters after normalization, equal counts by code point.

    The trainer's own limit breaks ties at random. Without a limit a catalogue in many scripts would fill the vocabulary
    with single characters.
    """
    counts: Counter[str] = Counter()
    for text in corpus:
        for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            counts.update(piece)
    return sorted(counts, key=lambda char: (-counts[char], char))[:most]
