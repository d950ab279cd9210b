"""The searches of a GPU, run on a CPU: the answers of the others, and nothing copied to the host within a step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recbole_llmfashion.llm.generation import generator as generator_module
from recbole_llmfashion.llm.generation.beam_search import beam_search
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.device_search import CHECK_EVERY, device_search
from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from tests.helpers.copies import Copies
from tests.helpers.decoding import ATOMIC, EOS, EVEN, OTHERS, PAD, RAGGED, V, ask, forwards, lively, lookup, prompts
from tests.helpers.decoding import small_falcon as make_falcon

NAMES = ["even", "ragged", "atomic", "one"]
ALL = pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC, [[10, 11, 12]]], ids=NAMES)


@pytest.fixture(scope="module")
def falcon() -> Any:
    return make_falcon()


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator_module, "greedy_search", device_search)
    monkeypatch.setattr(
        generator_module, "beam_search", lambda batch, trie, count: beam_search(batch, trie, count, look=False)
    )


@contextmanager
def no_copies() -> Iterator[Copies]:
    """Counts reads, and refuses what needs no operation on a CPU."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a copy to the host")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("cpu", "tolist", "numpy"):
            patch.setattr(Tensor, name, refuse)
        with Copies() as mode:
            yield mode


def begun(model: Any, room: int, rows: int = 6) -> PromptBatch:
    lm, data = CausalLMRunner(model, PAD), prompts(rows)
    return PromptBatch(lm, lm.share(data[0][:6]), [prompt[6:] for prompt in data], room)


def both(make: Any, *args: Any) -> tuple[Generator, list[Any], list[Any]]:
    """A generator, its answers and its likeliest items."""
    generator = make(*args)
    data = prompts(20)
    items, scores = generator.best(data, 4)
    return generator, generator.generate(data), [items.tolist(), np.round(scores, 3).tolist()]


@ALL
@pytest.mark.parametrize("make", [ask, lookup])
def test_answers_are_those_of_a_cpu(
    falcon: Any, sequences: list[list[int]], make: Any, request: pytest.FixtureRequest
) -> None:
    _, texts, best = both(make, falcon, sequences)
    request.getfixturevalue("as_on_a_gpu")
    _, found, likeliest = both(make, falcon, sequences)
    assert found == texts and likeliest == best


@pytest.mark.parametrize("name", list(OTHERS))
def test_other_models(name: str, as_on_a_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = lively(OTHERS[name]()), prompts(6)
    found = ask(model, RAGGED)(data)
    monkeypatch.undo()
    assert ask(model, RAGGED)(data) == found


@ALL
def test_no_step_copies_to_the_host(falcon: Any, sequences: list[list[int]]) -> None:
    trie, steps = ItemTrie.build(sequences, V), 21
    opening, state = trie.opening()
    with torch.no_grad():
        batch = begun(falcon, steps)
        assert trie.even is (sequences is not RAGGED) and (state == ItemTrie.FREE or trie.widths(state))
        with no_copies() as mode:
            tokens, _ = device_search(batch, trie, state, steps, EOS, at_item=False)
    # a look at the rows every eight tokens until all have ended, and one for finite scores
    lengths = (tokens != EOS).sum(1).max()
    assert len(opening) <= 3 and mode.seen.count("_local_scalar_dense") == len(mode.seen)
    assert len(mode.seen) <= min(steps, int(lengths) + CHECK_EVERY) // CHECK_EVERY + 1


@pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC])
def test_no_beam_copies_to_the_host(falcon: Any, sequences: list[list[int]]) -> None:
    trie, width = ItemTrie.build(sequences, V), 4
    with torch.no_grad():
        batch = begun(falcon, width * trie.levels)
        assert len(trie.widths(ItemTrie.ROOT)) == trie.levels
        with no_copies() as mode:
            beam_search(batch, trie, width, look=False)
    assert mode.seen == ["_local_scalar_dense"] * 2 * trie.levels  # the checks after the last step


def test_one_token_and_a_catalogue_title_are_the_prefill_alone(falcon: Any, as_on_a_gpu: None) -> None:
    with forwards(falcon) as shapes:
        lookup(falcon, ATOMIC)(prompts(7))
    assert [rows for rows, _ in shapes] == [1, 7]  # the shared prefix and the rest of the prompts


def test_what_sequences_share_at_their_end_is_one_forward(falcon: Any, as_on_a_gpu: None) -> None:
    with forwards(falcon) as shapes:
        ask(falcon, EVEN, steps=7)(prompts(8))
    assert [columns for _, columns in shapes][-3:] == [1, 1, 4]


def test_widths() -> None:
    """RAGGED: 10, 11, 12 at the root; then 40, 20 after 10, 22 after 11 and 40, 21 after 12; then 40, 30 / 40 / 33."""
    trie = ItemTrie.build(RAGGED, V)
    assert trie.widths(ItemTrie.ROOT)[:3] == [3, 2, 2] and len(trie.widths(ItemTrie.ROOT)) == trie.levels
    assert ItemTrie.build(ATOMIC, V).widths(0) == [25] and ItemTrie.build(EVEN, V).widths(0) == [3, 3, 3]
    assert ItemTrie.build(EVEN, V).widths(1) == [3, 3] and ItemTrie.build(EVEN, V).shared_end == 3


@pytest.mark.parametrize("at", [0, 1])
def test_scores_that_are_not_finite(falcon: Any, at: int) -> None:
    trie = ItemTrie.build(EVEN, V)
    with torch.no_grad():
        batch = begun(falcon, 9, rows=2)
        batch.logits[at] = torch.nan
        with pytest.raises(RuntimeError, match="no allowed token with a finite score"):
            device_search(batch, trie, ItemTrie.ROOT, 9, EOS, at_item=False)
        batch = begun(falcon, 9, rows=2)
        batch.logits[at] = torch.nan
        with pytest.raises(RuntimeError, match="no finite score"):
            beam_search(batch, trie, 2, look=False)
