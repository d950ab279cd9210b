from pathlib import Path

import numpy as np
import pytest

from recbole_llmfashion.embedding.residual_codes import BITS, LEVELS, ResidualCodes
from recbole_llmfashion.prompt.item_tokens import CODES

GROUPS, EACH = 64, 5


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def grouped(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of 64 groups that lie close together, and the group of each."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(GROUPS), EACH)
    return unit(unit(rng.normal(size=(GROUPS, 16)))[group] + 0.02 * rng.normal(size=(len(group), 16))), group


def shared(codes: np.ndarray, group: np.ndarray) -> float:
    """Share of the pairs within a group whose first codes are equal."""
    pairs = np.triu(group[:, None] == group[None, :], 1)
    return float((codes[:, 0][:, None] == codes[:, 0][None, :])[pairs].mean())


def test_encode() -> None:
    assert CODES == 2**BITS
    vectors, _ = grouped(0)
    codes = ResidualCodes.train(vectors).encode(vectors)
    assert codes.shape == (GROUPS * EACH, LEVELS) and codes.dtype == np.int64
    assert codes.min() >= 0 and codes.max() < CODES


def test_equal_vectors_have_equal_codes() -> None:
    vectors, _ = grouped(0)
    codes = ResidualCodes.train(vectors)
    found = codes.encode(vectors)
    assert np.array_equal(ResidualCodes.train(vectors).encode(vectors), found)
    assert np.array_equal(codes.encode(vectors[::-1])[::-1], found)
    twice = codes.encode(np.repeat(vectors[:5], 2, axis=0))
    assert np.array_equal(twice[::2], twice[1::2]) and np.array_equal(twice[::2], found[:5])


def test_training_uses_the_first_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = grouped(0)
    monkeypatch.setattr("recbole_llmfashion.embedding.residual_codes.LEARNED_FROM", 100)
    some, few = ResidualCodes.train(vectors), ResidualCodes.train(vectors[:100])
    assert np.array_equal(some.encode(vectors), few.encode(vectors))
    monkeypatch.setattr("recbole_llmfashion.embedding.residual_codes.LEARNED_FROM", 65_536)
    assert not np.array_equal(ResidualCodes.train(vectors).encode(vectors), few.encode(vectors))


def test_memory_limit(tmp_path: Path) -> None:
    made = ResidualCodes.train(grouped(0)[0])
    made.save(tmp_path)
    for codes in (made, ResidualCodes.load(tmp_path)):
        assert codes._index.rq.max_mem_distances == 2**27


@pytest.mark.parametrize("items", [1, 3, 63])
def test_fewer_vectors_than_centroids(items: int) -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(items, 8)))
    codes = ResidualCodes.train(vectors).encode(vectors)
    assert codes.shape == (items, LEVELS) and codes.min() >= 0 and codes.max() < CODES
    assert len(np.unique(codes, axis=0)) == items  # centres enough to tell them apart


def test_save_and_load(tmp_path: Path) -> None:
    vectors, _ = grouped(0)
    codes = ResidualCodes.train(vectors)
    codes.save(tmp_path)
    later = unit(np.random.default_rng(5).normal(size=(20, 16)))
    assert np.array_equal(ResidualCodes.load(tmp_path).encode(later), codes.encode(later))
    assert [path.name for path in tmp_path.iterdir()] == ["codes.faiss"]


def test_near_vectors_share_their_first_code() -> None:
    vectors, group = grouped(0)
    codes = ResidualCodes.train(vectors)
    assert shared(codes.encode(vectors), group) > 0.7
    later = unit(vectors + 0.01 * np.random.default_rng(9).normal(size=vectors.shape))
    assert shared(codes.encode(later), group) > 0.7  # items that come later, near those that were known
    assert shared(codes.encode(vectors), np.random.default_rng(3).permutation(group)) < 0.1
