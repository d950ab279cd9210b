"""Token ids, types and item positions with literal values; tokens are words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.model.recformer.flatten import PAD_TYPE, collate, flatten
from tests.helpers.recformer import BOS, PAD, Words, shape

#  title 3, red 4, boots 5, black 6, sandals 7, brand 8, Norda 9
COLUMNS = {"title": ["red boots", "black sandals"], "brand": ["Norda", ""]}


def batch(rows, histories, **keys):
    made = collate(rows, [np.array(history, np.int64) for history in histories], shape(**keys))
    return {name: tensor.tolist() for name, tensor in vars(made).items()}


def test_flatten_items():
    rows = flatten(COLUMNS, Words(), 8)
    assert rows.ids.tolist() == [3, 4, 5, 8, 9, 3, 6, 7]  # the second item has no brand
    assert rows.types.tolist() == [1, 2, 2, 1, 2, 1, 2, 2]
    assert rows.ptr.tolist() == [0, 5, 8]


def test_attribute_tokens():
    rows = flatten(COLUMNS, Words(), 2)
    assert rows.ids.tolist() == [3, 4, 8, 9, 3, 6]
    assert flatten({"a long name": ["x"]}, Words(), 2).types.tolist() == [1, 1]


def test_order_of_attributes():
    turned = flatten(dict(reversed(COLUMNS.items())), Words(), 8)
    assert turned.types.tolist() == [1, 2, 1, 2, 2, 1, 2, 2]


def test_collate():
    rows = flatten(COLUMNS, Words(), 8)
    made = batch(rows, [[1, 0], []])  # most recent first: the sandals, then the boots
    assert made["ids"] == [[BOS, 3, 6, 7, 3, 4, 5, 8, 9, PAD, PAD, PAD], [BOS] + [PAD] * 11]
    assert made["types"] == [[0, 1, 2, 2, 1, 2, 2, 1, 2, 3, 3, 3], [0] + [3] * 11]
    assert made["item_positions"] == [[0, 1, 1, 1, 2, 2, 2, 2, 2, 10, 10, 10], [0] + [10] * 11]
    assert made["mask"] == [[1] * 9 + [0] * 3, [1] + [0] * 11]


def test_max_items_and_max_tokens():
    rows = flatten(COLUMNS, Words(), 8)
    assert batch(rows, [[1, 0, 0]], max_items=1)["ids"] == [[BOS, 3, 6, 7]]
    cut = batch(rows, [[1, 0]], max_tokens=6)
    assert cut["ids"] == [[BOS, 3, 6, 7, 3, 4, PAD, PAD]]
    assert cut["item_positions"] == [[0, 1, 1, 1, 2, 2, 10, 10]]


def test_queries_follow_the_items():
    words = Words()
    rows = flatten(COLUMNS, words, 8) + flatten({"query": ["red sandals"]}, words, 8)
    assert rows.ids[rows.ptr[2] : rows.ptr[3]].tolist() == [10, 4, 7]
    assert batch(rows, [[2]])["types"] == [[0, 1, 2, 2]]
    assert len(flatten({"query": []}, words, 8)) == 0


def test_hashes():
    words = Words()
    rows = flatten({"title": ["a b", "a", "a b"]}, words, 8)
    assert rows.hashes[0] == rows.hashes[2] != rows.hashes[1]
    assert (
        flatten({"a": ["b"]}, words, 8).hashes[0]
        != flatten({"a b": ["c"]}, lambda t: [[3][: len(t)]] * len(t), 8).hashes[0]
    )
    other = flatten({"title": ["x y", "a b"]}, words, 8)
    assert other.hashes[1] == rows.hashes[0]


@given(st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=4), st.integers(1, 30))
def test_sequences_of_any_histories(histories, most):
    rows = flatten({"title": ["a", "b c", "d e f", "", "g"], "size": ["1", "", "2", "", "3 4"]}, Words(), 3)
    made = batch(rows, histories, max_items=5, max_tokens=most)
    for row, history in enumerate(histories):
        whole = [BOS, *(i for e in history[:5] for i in rows.ids[rows.ptr[e] : rows.ptr[e + 1]].tolist())][:most]
        length = sum(made["mask"][row])
        assert made["ids"][row][:length] == whole and set(made["ids"][row][length:]) <= {PAD}
        assert made["item_positions"][row][:length] == sorted(made["item_positions"][row][:length])
        assert len(made["ids"][row]) % 4 == 0 and set(made["types"][row][length:]) <= {PAD_TYPE}


def test_item_without_text():
    rows = flatten({"title": ["", "x"]}, Words(), 8)
    assert rows.lengths.tolist() == [0, 2]
    assert batch(rows, [[0, 1]])["item_positions"] == [[0, 2, 2, 10]]
    with pytest.raises(ValueError, match="zip"):
        flatten({"title": ["x"], "brand": []}, Words(), 8)
