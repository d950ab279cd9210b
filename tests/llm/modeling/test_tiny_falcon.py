from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon, train_tokenizer

WORDS = ["click product ID: B123456, title: blue shoe\n", "search red  sandals, summer 2024\n"] * 4
TOKENIZER = train_tokenizer(WORDS, 400)
TEXT = st.text(max_size=40).filter(lambda text: "<" not in text)  # marks of its own are the prompt builder's business


def ids(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


@settings(max_examples=150, deadline=None)
@given(TEXT)
def test_any_text_comes_back(text: str) -> None:
    assert TOKENIZER.decode(ids(text), skip_special_tokens=True) == text


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([" ", "\n", ", "]), TEXT), max_size=4), TEXT)
def test_ids_of_joined_pieces_are_the_ids_of_the_joined_text(rest: list[tuple[str, str]], first: str) -> None:
    pieces = [first, *(mark + text for mark, text in rest)]
    assert [token for piece in pieces for token in ids(piece)] == ids("".join(pieces))


def test_hostile_texts_come_back() -> None:
    for text in ["a\x00b", "\u202eshoe", "👟🏽 boots", "x" * 10_000, " ,  ,\n\n", "it's . a , test ! ok"]:
        assert TOKENIZER.decode(ids(text)) == text


def test_marks_digits_and_commas() -> None:
    assert (TOKENIZER.pad_token_id, TOKENIZER.eos_token_id) == (0, 1)
    assert ids("<pad><eos>") == [0, 1]
    plain = [token.replace("Ġ", " ") for token in TOKENIZER.tokenize(" B1234567,x")]
    joined = "|".join(plain)
    assert " B|12|34|56|7|,|x" in joined


def test_the_order_of_the_texts_does_not_change_the_vocabulary() -> None:
    assert train_tokenizer(WORDS[::-1], 400).get_vocab() == TOKENIZER.get_vocab()


def test_a_vocabulary_smaller_than_the_bytes_is_refused() -> None:
    assert len(train_tokenizer(["a"], 258)) == 258
    with pytest.raises(UserError, match=r"^vocab_size: 257 .* 258"):
        train_tokenizer(["a"], 257)


def test_the_model_is_a_falcon_of_the_asked_size_and_seed() -> None:
    state = torch.get_rng_state()
    model: Any = new_tiny_falcon(300, 32, 3, 2, seed=5)
    assert torch.equal(state, torch.get_rng_state())
    config = model.config
    assert (config.multi_query, config.parallel_attn, config.bias, config.alibi) == (False, False, False, False)
    assert model.lm_head.weight is model.transformer.word_embeddings.weight
    assert (config.pad_token_id, config.eos_token_id) == (0, 1)
    # embeddings; per layer 12 w^2 of projections and two norms; the last norm
    assert sum(p.numel() for p in model.parameters()) == 300 * 32 + 3 * (12 * 32 * 32 + 4 * 32) + 2 * 32
    same, other = new_tiny_falcon(300, 32, 3, 2, seed=5), new_tiny_falcon(300, 32, 3, 2, seed=6)
    assert torch.equal(same.lm_head.weight, model.lm_head.weight)
    assert not torch.equal(other.lm_head.weight, model.lm_head.weight)


def test_width_and_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"^width: 34 is no multiple of 2 \* heads"):
        new_tiny_falcon(300, 34, 1, 4, seed=0)
