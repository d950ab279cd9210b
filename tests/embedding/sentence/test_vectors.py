"""Vectors as a stage, and texts that are looked up."""

from types import SimpleNamespace

import numpy as np

from recbole_llmfashion.embedding.sentence.vectors import KnownVectors, staged_vectors
from recbole_llmfashion.stage_store import StageStore
from tests.helpers.fakes import hash_encoder


class Counting:
    """An encoder that keeps what it was given."""

    def __init__(self, sha256="one"):
        self.sha256, self.given = sha256, []

    def encode(self, texts, show_progress=False):
        self.given.append(list(texts))
        return hash_encoder(texts)


def test_a_stage_by_the_encoder_and_the_texts(tmp_path):
    store, encoder = StageStore(tmp_path), Counting()
    texts = ["red boots", "bag", "red boots"]
    for _ in range(2):
        np.testing.assert_array_equal(staged_vectors(encoder, texts, store, False), hash_encoder(texts))
    assert encoder.given == [["red boots", "bag"]]  # once, each distinct text once
    staged_vectors(encoder, ["red boots", "hat"], store, False)
    other = Counting("two")
    staged_vectors(other, texts, store, False)
    assert len(encoder.given) == 2 and len(other.given) == 1
    assert len(list(tmp_path.glob("sentences-*"))) == 3


def test_known_texts_are_looked_up():
    encoder = SimpleNamespace(given=[])

    def encode(texts):
        encoder.given.extend(texts)
        return -hash_encoder(texts)

    known = KnownVectors(encode, ["bag", "hat"], hash_encoder(["bag", "hat"]))
    np.testing.assert_array_equal(known(["hat", "bag"]), hash_encoder(["hat", "bag"]))
    assert encoder.given == []
    found = known(["shoe", "bag", "shoe"])
    np.testing.assert_array_equal(found, [*-hash_encoder(["shoe"]), *hash_encoder(["bag"]), *-hash_encoder(["shoe"])])
    assert encoder.given == ["shoe"]
