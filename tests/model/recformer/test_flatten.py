"""Token ids, types and item positions with literal values; tokens are words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.model.recformer.flatten import PAD_TYPE, collate, flatten, item_places, newest
from tests.helpers.recformer import BOS, PAD, Words, shape

#  title 3, red 4, boots 5, black 6, sandals 7, brand 8, Norda 9
COLUMNS = {"title": ["red boots", "black sandals"], "brand": ["Norda", ""]}


def batch(rows, histories, n_items=None, **keys):
    made = collate(rows, [np.array(history, np.int64) for history in histories], shape(**keys), n_items or len(rows))
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
    assert batch(rows, [[2]], n_items=2)["types"] == [[0, 1, 2, 2]]
    assert len(flatten({"query": []}, words, 8)) == 0


def test_queries_beside_the_items():
    """A query takes no item's place: it has that of the next older item, and the items keep theirs."""
    words = Words()
    rows = flatten(COLUMNS, words, 8) + flatten({"query": ["red", "sandals"]}, words, 8)
    made = batch(rows, [[3, 1, 2, 0, 3], [1, 0]], n_items=2, max_items=2, max_tokens=64)
    # query 10 sandals 7 | sandals of three tokens | query 10 red 4 | boots of five tokens; the query before them is cut
    assert made["ids"][0] == [BOS, 10, 7, 3, 6, 7, 10, 4, 3, 4, 5, 8, 9, PAD, PAD, PAD]
    assert made["item_positions"][0][:13] == [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]
    assert made["item_positions"][1][:9] == [0, 1, 1, 1, 2, 2, 2, 2, 2]
    # the same items without the limit: the oldest query is place 3
    assert batch(rows, [[3, 1, 2, 0, 3]], n_items=2)["item_positions"][0][13:15] == [3, 3]


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 6))
def test_items_are_the_same_with_and_without_queries(entries, most):
    mixed, items = np.array(entries, np.int64), np.array([entry for entry in entries if entry < 5], np.int64)
    kept = newest(mixed, 5, most)
    assert kept[kept < 5].tolist() == items[:most].tolist() == newest(items, 5, most).tolist()
    assert item_places(mixed, 5)[mixed < 5].tolist() == list(range(1, len(items) + 1))
    assert kept.tolist() == entries[: len(kept)] and (item_places(kept, 5) <= most).all()


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
