"""Fakes for the tests of Recformer: words as tokens, a tiny encoder."""

from pathlib import Path

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config
from recbole_llmfashion.model.recformer.encoder import Encoder, new_encoder
from recbole_llmfashion.model.recformer.flatten import SequenceShape, TokenRows, flatten
from recbole_llmfashion.model.recformer.model import Recformer
from recbole_llmfashion.model.recformer.scorer import Scorer

PAD, BOS, MASK = 0, 1, 2


class Words:
    """A tokenizer whose tokens are words, numbered from 3 in order of appearance."""

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


def config_of(root: Path, model: type = Recformer, name: str = "tiny", **keys: object) -> LLMFashionConfig:
    """A config with data and stages below `root`."""
    return load_config(model, name, overrides={"data_path": str(root), "checkpoint_dir": str(root / "saved"), **keys})


def walks(
    users: int, items: int, structured: bool, seed: int = 0
) -> tuple[TokenRows, np.ndarray, list[np.ndarray], np.ndarray]:
    """Rows of users whose next item shares words with the last one, or is random."""
    rng = np.random.default_rng(seed)
    words = [f"a{group} b{i % 3} c{i % 5}" for i in range(items) for group in [i % 6]]
    rows = flatten({"title": words}, Words(), 8)
    owners, histories, targets = [], [], []
    for user in range(users):
        group = user % 6
        taken = rng.integers(items // 6, size=5) * 6 + group if structured else rng.integers(items, size=5)
        for length in range(1, 5):
            owners.append(user)
            histories.append(taken[:length][::-1].astype(np.int64))
            targets.append(taken[length])
    return rows, np.array(owners), histories, np.array(targets)
