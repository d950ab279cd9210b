"""Approximate indexes: near enough, kept in files, and refused where they belong to something else."""

import json

import numpy as np
import pytest
import torch

from recbole_llmfashion.embedding import approximate_index
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable

GENERATOR = np.random.default_rng(0)
WORDS = GENERATOR.normal(size=(60, 16))
# each the mean of three words, as titles are of theirs; every one of them twice
HALF = np.stack([WORDS[GENERATOR.permutation(60)[:3]].mean(axis=0) for _ in range(1500)])
VECTORS = np.concatenate([HALF, HALF]).astype(np.float32)
UNIT = (HALF / np.linalg.norm(HALF, axis=1, keepdims=True)).astype(np.float32)
TIE = GENERATOR.permutation(3000)
QUERIES = torch.from_numpy(np.stack([WORDS[GENERATOR.permutation(60)[:2]].sum(axis=0) for _ in range(40)])).float()


def searched(kind, folder):
    def made(rows):
        approximate_index.build(rows, kind, folder, "title")
        return approximate_index.load(rows, kind, folder, "title")

    return CosineTable(VECTORS, TIE, made)


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_head_is_close_to_an_exhaustive_search(kind, tmp_path):
    exact, order = CosineTable(VECTORS, TIE).rank(QUERIES), searched(kind, tmp_path).rank(QUERIES)
    least = CosineTable(VECTORS, TIE).score(QUERIES, exact.top(10)).min(dim=1, keepdim=True).values
    scores = CosineTable(VECTORS, TIE).score(QUERIES, order.top(10))
    assert float((scores >= least - 1e-6).float().mean()) >= (0.9 if kind == "ivf" else 0.99)
    # items with equal titles are next to each other, in the order of their tie ranks
    head = order.top(10).numpy()
    assert all(set(row[::2] % 1500) == set(row[1::2] % 1500) for row in head)
    assert (TIE[head[:, 0]] < TIE[head[:, 1]]).all()


def test_items_behind_the_head_are_in_exact_order(tmp_path):
    order, exact = searched("ivf", tmp_path).rank(QUERIES[:3]), CosineTable(VECTORS, TIE).rank(QUERIES[:3])
    whole, head = order.top(3000), order.top(100)
    assert all(sorted(row) == list(range(3000)) for row in whole.tolist())
    for row, (found, sorted_all) in enumerate(zip(whole.tolist(), exact.top(3000).tolist(), strict=True)):
        assert found == head[row].tolist() + [item for item in sorted_all if item not in set(head[row].tolist())]
    nothing = torch.empty(3, 0, dtype=torch.int64)
    for place in (0, 7, 99, 100, 101, 1500, 2999):
        assert order.count_before(whole[:, place], nothing).tolist() == [place] * 3


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_load_rejects_other_vectors_and_damaged_files(kind, tmp_path):
    approximate_index.build(UNIT, kind, tmp_path, "title")
    assert approximate_index.load(UNIT, kind, tmp_path, "title")(UNIT[:2], 1).tolist() == [[0], [1]]
    other = "ivf" if kind == "hnsw" else "hnsw"
    for vectors, requested in ((UNIT[::-1].copy(), kind), (UNIT[:-1], kind), (UNIT, other)):
        with pytest.raises(UserError, match=r"expected a (ivf|hnsw) index of the current vectors"):
            approximate_index.load(vectors, requested, tmp_path, "title")
    about = json.loads((tmp_path / "title.json").read_text())
    assert about["kind"] == kind and about["rows"] == 1500
    for broken in (lambda path: path.write_bytes(path.read_bytes()[:99]), lambda path: path.unlink()):
        broken(tmp_path / "title.faiss")
        with pytest.raises(UserError, match=r"title.faiss: not a readable index; remove its folder"):
            approximate_index.load(UNIT, kind, tmp_path, "title")


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_ivf_is_copied_to_gpus(kind, tmp_path, monkeypatch):
    moved = []
    monkeypatch.setattr(approximate_index.faiss, "get_num_gpus", lambda: 2)
    monkeypatch.setattr(approximate_index.faiss, "index_cpu_to_all_gpus", lambda index: moved.append(index) or index)
    approximate_index.build(UNIT, kind, tmp_path, "title")
    assert approximate_index.load(UNIT, kind, tmp_path, "title")(UNIT[:2], 1).tolist() == [[0], [1]]
    assert [one.ntotal for one in moved] == ([1500] if kind == "ivf" else [])


def test_ivf_stores_one_byte_per_number(tmp_path):
    approximate_index.build(UNIT, "ivf", tmp_path, "title")
    size = (tmp_path / "title.faiss").stat().st_size
    assert 1500 * (16 + 8) < size < 1500 * (16 + 8) + 8000  # codes and row numbers, then centres and what is around


def test_pays_off():
    assert (
        not approximate_index.pays_off(UNIT[:999], "ivf")
        and approximate_index.pays_off(UNIT, "hnsw")
        and not approximate_index.pays_off(UNIT, "flat")
    )
