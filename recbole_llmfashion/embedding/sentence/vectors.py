"""Vectors of texts that are encoded once: as a stage, and looked up afterwards."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.embedding.sentence.encoder import SentenceEncoder
from recbole_llmfashion.stage_store import StageStore, sha256_texts

STAGE = "sentences"
_FILE = "vectors.safetensors"


def staged_vectors(
    encoder: SentenceEncoder, texts: Sequence[str], store: StageStore, show_progress: bool
) -> np.ndarray:
    """[n, d] float32 unit rows of texts, a stage by the digests of the encoder and of the distinct texts."""
    distinct = list(dict.fromkeys(texts))

    def build(folder: Path) -> None:
        save_file({"vectors": encoder.encode(distinct, show_progress)}, str(folder / _FILE))

    inputs = {"encoder": encoder.sha256, "texts": sha256_texts(distinct)}
    vectors = load_file(str(store.get(STAGE, inputs, build) / _FILE))["vectors"]
    row = {text: number for number, text in enumerate(distinct)}
    return vectors[[row[text] for text in texts]]


class KnownVectors:
    """Texts to vectors: those that are known are looked up, others are encoded.

    Args:
        encode: texts to [n, d] unit rows.
        texts: that are known.
        vectors: [n, d] theirs.

    >>> known = KnownVectors(lambda texts: np.full((len(texts), 1), 9.0), ["bag"], np.array([[1.0]]))
    >>> known(["hat", "bag", "hat"]).ravel().tolist()
    [9.0, 1.0, 9.0]
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str], vectors: np.ndarray
    ) -> None:
        self._encode, self._vectors = encode, vectors
        self._row = {text: row for row, text in enumerate(texts)}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """[n, d] vectors."""
        others = list(dict.fromkeys(text for text in texts if text not in self._row))
        if not others:
            return self._vectors[[self._row[text] for text in texts]]
        found = dict(zip(others, self._encode(others), strict=True))
        return np.stack([self._vectors[self._row[text]] if text in self._row else found[text] for text in texts])
