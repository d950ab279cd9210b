import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.prompt.item_tokens import CODES, ItemTokens, atomic_tokens, item_words, semantic_tokens
from tests.helpers.shop import TOKENIZER

FIRST = 1000


def listed(index: ItemTokens) -> list[list[int]]:
    return [ids.tolist() for ids in index.ids]


def test_atomic_by_hand():
    index = atomic_tokens(np.array([2, 0, 1]), FIRST, key="k")
    assert listed(index) == [[1002], [1000], [1001]]
    assert (index.first, index.new_tokens, index.key) == (1000, 3, "k")
    assert {ids.dtype for ids in index.ids} == {np.dtype(np.int32)}


def test_semantic_by_hand():
    # the first and the third item have equal codes; the tie puts the third before the first
    codes = np.array([[1, 2, 3], [63, 0, 63], [1, 2, 3], [1, 2, 4]])
    index = semantic_tokens(codes, np.array([3, 1, 0, 2]), FIRST, key="k")
    assert listed(index) == [
        [1001, 1066, 1131, 1193],
        [1063, 1064, 1191, 1192],
        [1001, 1066, 1131, 1192],
        [1001, 1066, 1132, 1192],
    ]
    assert (index.first, index.new_tokens, index.key) == (1000, 3 * 64 + 2, "k-194")


codes_and_ties = st.integers(1, 3).flatmap(
    lambda levels: st.lists(
        # few codes, so that many items meet
        st.tuples(*[st.sampled_from([0, 1, CODES - 1])] * levels),
        min_size=1,
        max_size=40,
    ).flatmap(lambda rows: st.tuples(st.just(np.array(rows)), st.permutations(range(len(rows))).map(np.array)))
)


@settings(max_examples=40)
@given(codes_and_ties)
def test_every_item_has_ids_of_its_own_within_the_new_tokens(given_):
    codes, tie = given_
    for index in (semantic_tokens(codes, tie, FIRST), atomic_tokens(tie, FIRST)):
        assert len({tuple(ids) for ids in listed(index)}) == len(codes)
        tokens = np.concatenate(index.ids)
        assert tokens.min() >= FIRST and tokens.max() < FIRST + index.new_tokens
        assert len({len(ids) for ids in index.ids}) == 1
    levels = [set(column) for column in np.array(listed(semantic_tokens(codes, tie, FIRST))).T]
    assert sum(map(len, levels)) == len(set().union(*levels))  # a token belongs to one level alone


@settings(max_examples=40)
@given(codes_and_ties, st.randoms(use_true_random=False))
def test_the_order_of_the_catalogue_says_nothing(given_, random):
    codes, _ = given_
    names = [f"item{i}" for i in range(len(codes))]
    order = list(range(len(names)))
    random.shuffle(order)
    moved = [names[i] for i in order]
    for index, other in (
        (atomic_tokens(tie_rank(names), FIRST), atomic_tokens(tie_rank(moved), FIRST)),
        (semantic_tokens(codes, tie_rank(names), FIRST), semantic_tokens(codes[order], tie_rank(moved), FIRST)),
    ):
        here, there = (dict(zip(n, listed(i), strict=True)) for n, i in ((names, index), (moved, other)))
        assert here == there and index.new_tokens == other.new_tokens


def test_new_items_do_not_reorder_the_old_ones():
    names = [f"item{i}" for i in range(30)]
    few, many = (listed(atomic_tokens(tie_rank(n), FIRST)) for n in (names[:20], names))
    assert np.argsort([ids[0] for ids in few]).tolist() == np.argsort([ids[0] for ids in many[:20]]).tolist()


def test_words_are_lower_cased_title_and_chosen_attributes():
    titles = ("Red Boots", "Socks")
    attributes = {"brand": ("Norda", ""), "color": ("Red", "BLUE"), "size": ("9", "8")}
    words = item_words(TOKENIZER, titles, attributes, ("brand", "color"))
    assert [TOKENIZER.decode(ids) for ids in words] == [" red boots norda red", " socks blue"]
    assert {ids.dtype for ids in words} == {np.dtype(np.int64)}
    assert item_words(TOKENIZER, (), {"brand": ()}, ("brand",)) == []


@pytest.mark.parametrize("kind", ["atomic", "semantic"])
def test_one_item_is_enough(kind):
    tie = np.array([0])
    index = atomic_tokens(tie, 5) if kind == "atomic" else semantic_tokens(np.array([[0, 0, 0]]), tie, 5)
    assert listed(index) == ([[5]] if kind == "atomic" else [[5, 69, 133, 197]])
    assert index.new_tokens == (1 if kind == "atomic" else 193)
