"""Ranking by shared words, by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.lists import neighbor_list
from recbole_llmfashion.retrieval.lists.neighbor_list import best_scored
from recbole_llmfashion.retrieval.lists.word_list import WordList, word_vectors

# 20 items, so that a word of two of them counts and one of three does not
TEXTS = ["Red boot", "red scarf", "blue BOOT", "shoe", "shoe, wide", "shoe tree", *[f"item{i}" for i in range(14)]]
TIE = np.arange(20)[::-1].copy()
IDF = {"red": math.log(21 / 3), "boot": math.log(21 / 3), "scarf": math.log(21 / 2), "blue": math.log(21 / 2)}


def test_vectors_by_hand():
    """ "shoe" is in three items, more than a tenth, so item 3 has no word."""
    vectors = word_vectors(TEXTS)
    cosines = (vectors @ vectors.T).toarray()
    assert cosines[0, 0] == pytest.approx(1.0)
    own = math.hypot(IDF["red"], IDF["boot"])
    assert cosines[0, 1] == pytest.approx(IDF["red"] ** 2 / (own * math.hypot(IDF["red"], IDF["scarf"])))
    assert cosines[0, 2] == pytest.approx(cosines[0, 1])
    assert not cosines[3].any() and cosines[4, 5] == 0


def test_a_mark_belongs_to_its_word():
    """Hindi: "लाल" (red) and "काला" (black) share a letter and no word. "İpek" has a dot in lower case."""
    texts = ["लाल जूते", "काला थैला", "जूते", "İpek elbise", "pek", "❤️ i", *[f"item{i}" for i in range(14)]]
    shared = (word_vectors(texts) @ word_vectors(texts).T).toarray() > 0
    assert [np.flatnonzero(row).tolist() for row in shared[:6]] == [[0, 2], [1], [0, 2], [3], [4], [5]]


def test_ranks_by_hand():
    """After item 0: itself, then 2 before 1 by tie rank; nothing else shares a word."""
    ranks = WordList(TEXTS, TIE, 10)
    assert ranks.top(torch.tensor([[0, -1]]), 5).tolist() == [[0, 2, 1, -1, -1]]
    # the newest item counts fully, the one before it half: 2 before 0 and 1
    assert ranks.top(torch.tensor([[1, 2]]), 3).tolist() == [[2, 0, 1]]
    assert ranks.top(torch.tensor([[3, -1]]), 2).tolist() == [[-1, -1]]
    assert WordList(TEXTS, TIE, 1).top(torch.tensor([[1, 2]]), 4).tolist() == [[2, 0, -1, -1]]


def test_no_rows_and_no_texts():
    assert WordList(TEXTS, TIE, 3).top(torch.zeros((0, 2), dtype=torch.int64), 4).shape == (0, 4)
    assert WordList(["", ""], np.array([0, 1]), 3).top(torch.tensor([[0]]), 2).tolist() == [[-1, -1]]


@given(st.lists(st.text("ab ", max_size=6), min_size=1, max_size=30))
def test_vectors_are_unit_or_empty(texts):
    vectors = word_vectors(texts)
    norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1))).ravel()
    assert all(norm == pytest.approx(1.0) or norm == 0 for norm in norms)


def test_rows_in_parts_are_the_rows_alone(monkeypatch):
    """Item 0 has four scores at most, so two such rows are 8."""
    ranks = WordList(TEXTS, TIE, 10)
    rows, parts = torch.arange(130)[:, None] % 20, []
    whole = ranks.top(rows, 3)
    assert torch.equal(whole, torch.cat([ranks.top(row[None], 3) for row in rows]))
    monkeypatch.setattr(neighbor_list, "ENTRIES", 8)
    monkeypatch.setattr(neighbor_list, "best_scored", lambda *args: parts.append(args[0].nnz) or best_scored(*args))
    assert torch.equal(ranks.top(rows, 3), whole)
    assert len(parts) > 10 and max(parts) <= 8


def test_a_text_behind_the_ranked_ones_is_read_and_not_ranked():
    """The first item, which shares "boot" and "red", goes to the end; the idf of all 20 texts is as before."""
    ranks = WordList([*TEXTS[1:], TEXTS[0]], TIE[1:], 10)
    assert ranks.top(torch.tensor([[19, -1], [0, -1]]), 3).tolist() == [[1, 0, -1], [0, -1, -1]]
