"""Stand-ins for Recformer's tests: words as tokens, a tiny encoder."""

import numpy as np

from recbole_llmfashion.model.recformer.encoder import Encoder, new_encoder
from recbole_llmfashion.model.recformer.flatten import SequenceShape, TokenRows, flatten
from recbole_llmfashion.model.recformer.scorer import Scorer

PAD, BOS, MASK = 0, 1, 2


class Words:
    """A tokenizer whose tokens are words, numbered from 3 as they come."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def __call__(self, texts: list[str]) -> list[list[int]]:
        return [[self.known.setdefault(word, len(self.known) + 3) for word in text.split()] for text in texts]


def shape(max_items: int = 10, max_tokens: int = 64, multiple: int = 4) -> SequenceShape:
    return SequenceShape(BOS, PAD, max_items, max_tokens, multiple)


def tiny_encoder(vocab: int = 50, layers: int = 1, window: int = 4, seed: int = 0, width: int = 16) -> Encoder:
    return new_encoder(vocab, width, layers, 2, window, 10, 64, PAD, BOS, seed).eval()


def tiny_scorer(rows: TokenRows, n_items: int | None = None, **keys: object) -> Scorer:
    vocab = int(rows.ids.max()) + 1
    encoder = tiny_encoder(max(vocab, 8), **keys)  # type: ignore[arg-type]
    return Scorer(encoder, rows, n_items or len(rows), shape(), encode_tokens=256)


def numbered_items(count: int, words: int, seed: int = 0) -> TokenRows:
    """Items of three words each, drawn from a vocabulary of `words`."""
    rng = np.random.default_rng(seed)
    titles = [" ".join(f"w{word}" for word in rng.integers(words, size=3)) for _ in range(count)]
    return flatten({"title": titles}, Words(), 8)
