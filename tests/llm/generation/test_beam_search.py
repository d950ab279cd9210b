"""Beams against every sequence's own score, and responses that one prefill gives whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.generation.response_cache import generate_responses
from tests.helpers.decoding import (
    ATOMIC,
    EVEN,
    OTHERS,
    RAGGED,
    Tokens,
    ask,
    forwards,
    lively,
    lookup,
    prompts,
    small_falcon,
)


@pytest.fixture(scope="module")
def falcon() -> Any:
    return small_falcon()


def sequence_score(model: Any, prompt: np.ndarray, sequence: Sequence[int]) -> float:
    """Reference: one forward per sequence without a cache."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt.tolist(), *sequence]])).logits[0]
    logp = logits.log_softmax(1)
    return sum(float(logp[len(prompt) - 1 + i, token]) for i, token in enumerate(sequence))


# number of tokens at the end that are not scored: the suffix that all sequences share
CUT = [(EVEN, 3), (RAGGED, 1), (ATOMIC, 2), ([[10, 11, 12]], 2)]


@pytest.mark.parametrize(("sequences", "cut"), CUT, ids=["even", "ragged", "atomic", "one"])
def test_beam_as_wide_as_the_catalogue(falcon: Any, sequences: list[list[int]], cut: int) -> None:
    data, count = prompts(5), len(sequences) + 2
    items, scores = ask(falcon, sequences, batch_size=2).best(data, count)
    assert items.shape == scores.shape == (5, count) and scores.dtype == np.float32
    assert (items[:, -2:] == -1).all() and np.isneginf(scores[:, -2:]).all()
    for prompt, row, values in zip(data, items, scores, strict=True):
        wanted = np.asarray([sequence_score(falcon, prompt, sequence[:-cut]) for sequence in sequences])
        assert row[:-2].tolist() == np.argsort(-wanted).tolist()
        np.testing.assert_allclose(values[:-2], np.sort(wanted)[::-1], atol=2e-4)


def by_hand(model: Any, prompt: np.ndarray, sequences: list[list[int]], count: int) -> list[int]:
    """Reference: a beam search in Python over prefixes of sequences of equal length."""
    beams: list[tuple[int, ...]] = [()]
    for depth in range(len(sequences[0])):
        longer = {tuple(s[: depth + 1]) for s in sequences if tuple(s[:depth]) in beams}
        beams = sorted(longer, key=lambda prefix: -sequence_score(model, prompt, prefix))[:count]
    return [sequences.index(list(beam)) for beam in beams]


@pytest.mark.parametrize("count", [1, 4])
def test_narrow_beam(falcon: Any, count: int) -> None:
    data = prompts(4, seed=1)
    items, _ = ask(falcon, EVEN).best(data, count)
    ids = [sequence[:3] for sequence in EVEN]
    assert items.tolist() == [by_hand(falcon, prompt, ids, count) for prompt in data]


def test_a_beam_without_an_allowed_token_is_an_error(falcon: Any) -> None:
    """The constraint fails closed: a node without edges ends no beam and lets nothing through."""
    generator = ask(falcon, EVEN)
    trie = generator.trie
    assert trie is not None
    node = int(trie.children[0])  # the first token of a third of the IDs
    pointer = trie.pointer.clone()
    pointer[node + 1] = pointer[node]
    generator.trie = ItemTrie(
        pointer, trie.tokens, trie.children, trie.leaf_item,
        tail=trie.tail, vocab_size=trie.vocab_size, depth=trie.depth, size=trie.size,
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="no allowed token"):
        generator.best(prompts(4), 27)


def test_number_of_forwards(falcon: Any) -> None:
    data = [np.r_[np.arange(50, 60), [i, 9]] for i in range(100, 108)]
    with forwards(falcon) as shapes:
        ask(falcon, EVEN).best(data, 5)
    assert shapes == [(1, 10), (8, 2), (8, 3), (8, 5)]


def test_invalid_arguments(falcon: Any) -> None:
    items, scores = ask(falcon, EVEN).best([], 3)
    assert items.shape == scores.shape == (0, 3)
    with pytest.raises(ValueError, match="a trie and a count of 1 or more"):
        ask(falcon, EVEN).best(prompts(1), 0)
    with pytest.raises(ValueError, match="needs a trie"):
        Generator(falcon, Tokens(), DecodingSettings("sample")).best(prompts(1), 1)
    alibi = lively(OTHERS["falcon of one key head, ALiBi"]())
    for model in (alibi, lively(OTHERS["mistral of windows"]())):
        with pytest.raises(UserError, match="rotary or learned positions and full attention"):
            ask(model, EVEN).best(prompts(2), 2)
    assert ask(alibi, ATOMIC).best(prompts(2), 2)[0].shape == (2, 2)  # one token per item needs no tree


@pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC], ids=["even", "ragged", "atomic"])
def test_a_response_is_the_generated_text_with_the_likeliest_items(falcon: Any, sequences: list[list[int]]) -> None:
    data, generator = prompts(7), lookup(falcon, sequences)
    responses = generate_responses(generator, data, 3)
    assert [response.text for response in responses] == generator(data)
    assert [response.items.tolist() for response in responses] == generator.best(data, 3)[0].tolist()
    assert [response.items.tolist() for response in generate_responses(generator, data, 0)] == [[]] * 7


@pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC], ids=["even", "ragged", "atomic"])
def test_the_title_of_a_response_is_that_of_its_id(falcon: Any, sequences: list[list[int]]) -> None:
    for response in generate_responses(lookup(falcon, sequences), prompts(7), 3):
        ids, title = response.text.removeprefix("5 6 ").split(" title ")
        assert sequences[int(title)] == [int(token) for token in ids.split()]


def test_where_one_token_names_an_item_one_prefill_says_both(falcon: Any) -> None:
    data = prompts(7)
    with forwards(falcon) as shapes:
        generate_responses(lookup(falcon, ATOMIC), data, 3)
    assert [rows for rows, _ in shapes] == [1, 7]
    with forwards(falcon) as shapes:
        generate_responses(ask(falcon, ATOMIC), data, 3)  # the title is not generated yet
    assert len(shapes) > 4
