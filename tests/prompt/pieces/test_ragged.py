"""Ragged rows behave like lists of arrays."""

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.prompt.pieces import ragged
from recbole_llmfashion.prompt.pieces.ragged import Ragged

ROWS = st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=6)


def lists(rows):
    return [row.tolist() for row in rows]


def test_by_hand():
    rows = Ragged.of([[1, 2], [], [3]])
    assert lists(rows) == [[1, 2], [], [3]] and len(rows) == 3 and rows[-1].tolist() == [3]
    assert lists(Ragged.joined(3, np.array([9]), rows, np.array([], int), rows)) == [[9, 1, 2, 1, 2], [9], [9, 3, 3]]
    assert lists(rows.take(np.array([2, 0, 2]))) == [[3], [1, 2], [3]]
    assert lists(pickle.loads(pickle.dumps(rows))) == lists(rows)
    assert rows.lengths.tolist() == [2, 0, 1] and rows[0].dtype == np.int32
    assert lists(Ragged.joined(2)) == [[], []] and lists(Ragged.joined(0, np.array([9]))) == []


@given(ROWS, st.data())
def test_as_lists(rows, data):
    made = Ragged.of(rows)
    assert lists(made) == rows
    assert lists(made[1:]) == rows[1:] and lists(made[::-1]) == rows[::-1]
    assert lists(Ragged.joined(len(rows), made, made)) == [row + row for row in rows]
    if rows:
        picked = data.draw(st.lists(st.integers(0, len(rows) - 1)))
        assert lists(made.take(np.array(picked, np.int64))) == [rows[i] for i in picked]


def test_tokenized_in_parts(monkeypatch):
    """Tokenizing two texts per call gives the same ids as all texts in one call."""
    tokenizer = load_tokenizer(str(TINY_FALCON_FOLDER))
    texts = [" red boots", "", " a", " black leather ankle boots | size: 9", " red"]
    whole = lists(Ragged.tokenized(tokenizer, texts))
    monkeypatch.setattr(ragged, "CHUNK", 2)
    assert lists(Ragged.tokenized(tokenizer, texts)) == whole
    assert whole == [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
