import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.prompt.item_tokens import ItemDecoder
from recbole_llmfashion.prompt.response import ParsedResponse, parse_response
from tests.helpers.shop import KINDS, TOKENIZER, loader_for

FIRST = len(TOKENIZER)
NAMES = ["B11", "B12", "B13"]


def said(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def decoder(*items: list[int]) -> ItemDecoder:
    return ItemDecoder(TOKENIZER, [np.array(ids, np.int32) for ids in items], NAMES[: len(items)], FIRST)


ATOMIC = decoder([FIRST + 2], [FIRST], [FIRST + 1])
CODED = decoder(
    [FIRST, FIRST + 64, FIRST + 128], [FIRST, FIRST + 64, FIRST + 129], [FIRST + 1, FIRST + 64, FIRST + 128]
)


def test_text_alone_is_the_tokenizers():
    for text in ("", " product ID", "search red boots\n", "Schuhe für 木"):
        assert ATOMIC.decode(said(text)) == text
    assert (ATOMIC.eos_token_id, ATOMIC.pad_token_id) == (TOKENIZER.eos_token_id, TOKENIZER.pad_token_id)


def test_items_stand_where_their_tokens_stand():
    ids = [*said(" product ID:"), FIRST + 2, *said(", title: red boots")]
    assert ATOMIC.decode(ids) == " product ID: B11, title: red boots"
    assert ATOMIC.decode(np.array(ids, np.int32)) == " product ID: B11, title: red boots"
    assert ATOMIC.decode([FIRST, FIRST + 1]) == " B12 B13"
    assert ATOMIC.decode([FIRST, *said(" x"), FIRST]) == " B12 x B12"


def test_code_sequences_are_read_whole():
    first, second, third = ([FIRST, FIRST + 64, FIRST + 128], [FIRST, FIRST + 64, FIRST + 129], [FIRST + 1, FIRST + 64])
    assert CODED.decode([*first, *second]) == " B11 B12"
    assert CODED.decode([*said("a"), *third, FIRST + 128, *said("b")]) == "a B13b"


def test_tokens_that_name_no_item_are_an_unknown_id():
    assert ATOMIC.decode([FIRST + 9]) == " ?"
    assert ATOMIC.decode([FIRST + 9, FIRST, FIRST + 8]) == " ? B12 ?"
    # a sequence of codes that no item has is one ID, not three; what follows it is read as ever
    wrong = [FIRST + 1, FIRST + 64, FIRST + 129]
    assert CODED.decode(wrong) == " ?"
    assert CODED.decode([*wrong, FIRST, FIRST + 64, FIRST + 128]) == " ? B11"
    assert CODED.decode([*said(" product ID:"), *wrong, *said(", title: x")]) == " product ID: ?, title: x"
    assert CODED.decode([FIRST, FIRST + 64, *said(" x")]) == " ? x"  # broken off by text


def test_options_are_the_tokenizers():
    ids = [*said("a"), TOKENIZER.eos_token_id, FIRST]
    assert ATOMIC.decode(ids, skip_special_tokens=True) == "a B12"
    assert ATOMIC.decode(ids) == "a<eos> B12"


@settings(max_examples=30)
@given(st.lists(st.one_of(st.integers(0, 2), st.text(max_size=8).filter(lambda text: "<" not in text)), max_size=8))
def test_any_mixture_of_texts_and_items_comes_back(parts):
    for each in (ATOMIC, CODED):
        tokens = {name: ids for ids, name in each._name.items()}
        ids = [i for part in parts for i in (tokens[NAMES[part]] if isinstance(part, int) else said(part))]
        assert each.decode(ids) == "".join(f" {NAMES[part]}" if isinstance(part, int) else part for part in parts)


@pytest.mark.parametrize("kind", KINDS)
def test_what_training_shows_is_read_whatever_names_an_item(tmp_path, kind):
    builder = loader_for(tmp_path, kind=kind).builder
    titles = ("Gilt Evening Clutch", "Norda Red Winter Boots", "Norda Blue Winter Boots", "Vela Black Sandals")
    for position, (token, title) in enumerate(zip(("16", "11", "12", "13"), titles, strict=True)):
        ids = builder.response(position)
        assert ids[-1] == builder.decoder.eos_token_id
        assert parse_response(builder.decoder.decode(ids[:-1])) == ParsedResponse(token, title, True)
        assert builder.decoder.decode(ids, skip_special_tokens=True) == f" product ID: {token}, title: {title}"
        allowed_ids = builder.allowed_ids[position]
        assert (
            ids[len(builder.id_prefix) :][: len(allowed_ids)].tolist() == allowed_ids
        )  # what the constraint allows is trained
        if kind != "text":
            assert len(allowed_ids) == len(builder.separator) + {"atomic": 1, "semantic": 4}[kind]
