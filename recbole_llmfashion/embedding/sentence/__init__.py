"""Pretrained sentence encoders: found, checked, and run by transformers."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.embedding.sentence.encoder import SentenceEncoder, load_encoder
    from recbole_llmfashion.embedding.sentence.vectors import KnownVectors, staged_vectors
else:
    __getattr__ = lazy_names(
        __name__,
        {"encoder": "SentenceEncoder load_encoder", "vectors": "KnownVectors staged_vectors"},
    )

__all__ = ["KnownVectors", "SentenceEncoder", "load_encoder", "staged_vectors"]
