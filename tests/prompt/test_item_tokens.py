import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.prompt.item_tokens import (
    CODES,
    ItemDecoder,
    ItemTokens,
    atomic_tokens,
    item_words,
    more_atomic_tokens,
    more_semantic_tokens,
    semantic_tokens,
)
from tests.helpers.shop import TOKENIZER

FIRST = 1000


def id_lists(tokens: ItemTokens) -> list[list[int]]:
    return [ids.tolist() for ids in tokens.ids]


def test_atomic_tokens():
    made = atomic_tokens(np.array([2, 0, 1]), FIRST, key="k")
    assert id_lists(made) == [[1002], [1000], [1001]]
    assert (made.first, made.new_tokens, made.key) == (1000, 3, "k")
    assert {ids.dtype for ids in made.ids} == {np.dtype(np.int32)}


def test_semantic_tokens():
    # items 0 and 2 have equal codes; `tie` orders item 2 before item 0
    codes = np.array([[1, 2, 3], [63, 0, 63], [1, 2, 3], [1, 2, 4]])
    made = semantic_tokens(codes, np.array([3, 1, 0, 2]), FIRST, key="k")
    assert id_lists(made) == [
        [1001, 1066, 1131, 1193],
        [1063, 1064, 1191, 1192],
        [1001, 1066, 1131, 1192],
        [1001, 1066, 1132, 1192],
    ]
    assert (made.first, made.new_tokens, made.key) == (1000, 3 * 64 + 2, "k-194")


codes_and_ties = st.integers(1, 3).flatmap(
    lambda levels: st.lists(
        # few codes, so that many items have equal codes
        st.tuples(*[st.sampled_from([0, 1, CODES - 1])] * levels),
        min_size=1,
        max_size=40,
    ).flatmap(lambda rows: st.tuples(st.just(np.array(rows)), st.permutations(range(len(rows))).map(np.array)))
)


@settings(max_examples=40)
@given(codes_and_ties)
def test_ids_are_distinct_and_within_the_new_tokens(given_):
    codes, tie = given_
    for made in (semantic_tokens(codes, tie, FIRST), atomic_tokens(tie, FIRST)):
        assert len({tuple(ids) for ids in id_lists(made)}) == len(codes)
        tokens = np.concatenate(made.ids)
        assert tokens.min() >= FIRST and tokens.max() < FIRST + made.new_tokens
        assert len({len(ids) for ids in made.ids}) == 1
    levels = [set(column) for column in np.array(id_lists(semantic_tokens(codes, tie, FIRST))).T]
    assert sum(map(len, levels)) == len(set().union(*levels))  # no token occurs in two levels


@settings(max_examples=40)
@given(codes_and_ties, st.randoms(use_true_random=False))
def test_ids_do_not_depend_on_catalogue_order(given_, random):
    codes, _ = given_
    names = [f"item{i}" for i in range(len(codes))]
    order = list(range(len(names)))
    random.shuffle(order)
    moved = [names[i] for i in order]
    for made, other in (
        (atomic_tokens(tie_rank(names), FIRST), atomic_tokens(tie_rank(moved), FIRST)),
        (semantic_tokens(codes, tie_rank(names), FIRST), semantic_tokens(codes[order], tie_rank(moved), FIRST)),
    ):
        here, there = (dict(zip(n, id_lists(i), strict=True)) for n, i in ((names, made), (moved, other)))
        assert here == there and made.new_tokens == other.new_tokens


def test_order_of_ids_with_more_items():
    names = [f"item{i}" for i in range(30)]
    few, many = (id_lists(atomic_tokens(tie_rank(n), FIRST)) for n in (names[:20], names))
    assert np.argsort([ids[0] for ids in few]).tolist() == np.argsort([ids[0] for ids in many[:20]]).tolist()


def test_item_words():
    titles = ("Red Boots", "Socks")
    attributes = {"brand": ("Norda", ""), "color": ("Red", "BLUE"), "size": ("9", "8")}
    words = item_words(TOKENIZER, titles, attributes, ("brand", "color"))
    assert [TOKENIZER.decode(ids) for ids in words] == [" red boots norda red", " socks blue"]
    assert {ids.dtype for ids in words} == {np.dtype(np.int64)}
    assert item_words(TOKENIZER, (), {"brand": ()}, ("brand",)) == []


@pytest.mark.parametrize("kind", ["atomic", "semantic"])
def test_one_item(kind):
    tie = np.array([0])
    made = atomic_tokens(tie, 5) if kind == "atomic" else semantic_tokens(np.array([[0, 0, 0]]), tie, 5)
    assert id_lists(made) == ([[5]] if kind == "atomic" else [[5, 69, 133, 197]])
    assert made.new_tokens == (1 if kind == "atomic" else 193)


def test_more_atomic_tokens():
    made = more_atomic_tokens(atomic_tokens(np.array([1, 0]), FIRST), 2)
    assert id_lists(made) == [[1001], [1000], [1002], [1003]] and made.new_tokens == 4


def test_more_semantic_tokens():
    made = semantic_tokens(np.array([[3, 5], [3, 5]]), np.array([0, 1]), FIRST)
    assert id_lists(made) == [[1003, 1069, 1128], [1003, 1069, 1129]] and made.new_tokens == 130
    more = more_semantic_tokens(made, np.array([[3, 5], [4, 5], [3, 5]]))
    assert id_lists(more)[2:] == [[1003, 1069, 1130], [1004, 1069, 1128], [1003, 1069, 1131]]
    assert more.new_tokens == 132 and more.first == FIRST


SIZE = len(TOKENIZER)
NAMES = ["B11", "B12", "B13"]


def tokens_of(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def decoder(*items: list[int]) -> ItemDecoder:
    return ItemDecoder(TOKENIZER, [np.array(ids, np.int32) for ids in items], NAMES[: len(items)], SIZE)


ATOMIC = decoder([SIZE + 2], [SIZE], [SIZE + 1])
CODED = decoder([SIZE, SIZE + 64, SIZE + 128], [SIZE, SIZE + 64, SIZE + 129], [SIZE + 1, SIZE + 64, SIZE + 128])


def test_decode_text():
    for text in ("", " product ID", "search red boots\n", "Schuhe für 木"):
        assert ATOMIC.decode(tokens_of(text)) == text
    assert (ATOMIC.eos_token_id, ATOMIC.pad_token_id) == (TOKENIZER.eos_token_id, TOKENIZER.pad_token_id)


def test_decode_atomic_tokens():
    ids = [*tokens_of(" product ID:"), SIZE + 2, *tokens_of(", title: red boots")]
    assert ATOMIC.decode(ids) == " product ID: B11, title: red boots"
    assert ATOMIC.decode(np.array(ids, np.int32)) == " product ID: B11, title: red boots"
    assert ATOMIC.decode([SIZE, SIZE + 1]) == " B12 B13"
    assert ATOMIC.decode([SIZE, *tokens_of(" x"), SIZE]) == " B12 x B12"


def test_decode_semantic_tokens():
    first, second, third = ([SIZE, SIZE + 64, SIZE + 128], [SIZE, SIZE + 64, SIZE + 129], [SIZE + 1, SIZE + 64])
    assert CODED.decode([*first, *second]) == " B11 B12"
    assert CODED.decode([*tokens_of("a"), *third, SIZE + 128, *tokens_of("b")]) == "a B13b"


def test_decode_unknown_items():
    assert ATOMIC.decode([SIZE + 9]) == " ?"
    assert ATOMIC.decode([SIZE + 9, SIZE, SIZE + 8]) == " ? B12 ?"
    # codes that no item has are one unknown ID, not three; the rest is decoded as usual
    wrong = [SIZE + 1, SIZE + 64, SIZE + 129]
    assert CODED.decode(wrong) == " ?"
    assert CODED.decode([*wrong, SIZE, SIZE + 64, SIZE + 128]) == " ? B11"
    assert CODED.decode([*tokens_of(" product ID:"), *wrong, *tokens_of(", title: x")]) == " product ID: ?, title: x"
    assert CODED.decode([SIZE, SIZE + 64, *tokens_of(" x")]) == " ? x"  # incomplete


def test_decode_options():
    ids = [*tokens_of("a"), TOKENIZER.eos_token_id, SIZE]
    assert ATOMIC.decode(ids, skip_special_tokens=True) == "a B12"
    assert ATOMIC.decode(ids) == "a<eos> B12"


@settings(max_examples=30)
@given(st.lists(st.one_of(st.integers(0, 2), st.text(max_size=8).filter(lambda text: "<" not in text)), max_size=8))
def test_decode_restores_any_sequence(parts):
    for each in (ATOMIC, CODED):
        tokens = {name: ids for ids, name in each._name.items()}
        ids = [i for part in parts for i in (tokens[NAMES[part]] if isinstance(part, int) else tokens_of(part))]
        assert each.decode(ids) == "".join(f" {NAMES[part]}" if isinstance(part, int) else part for part in parts)


def test_item_words_have_the_start_of_long_attributes():
    attributes = {"brand": ("Norda",), "description": ("Soft  wool\n" * 20_000,)}
    [words] = item_words(TOKENIZER, ("Red Boots",), attributes, ("description", "brand"))
    assert TOKENIZER.decode(words) == f" red boots {'soft wool ' * 20}norda"
