"""Greedy decoding against `model.generate` with `prefix_allowed_tokens_fn`, and what it ran."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import Generator, make_generator
from recbole_llmfashion.llm.generation.greedy_search import greedy_search
from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from tests.helpers.decoding import (
    ATOMIC,
    EOS,
    EVEN,
    OTHERS,
    PAD,
    RAGGED,
    Tokens,
    V,
    ask,
    forwards,
    lively,
    lookup,
    prompts,
    small_falcon,
)

NEAR = 1e-4


@pytest.fixture(scope="module")
def falcon() -> Any:
    return small_falcon()


def peer(model: Any, prompt: np.ndarray, sequences: Sequence[Sequence[int]], steps: int) -> list[int]:
    def allowed(_: int, ids: torch.Tensor) -> list[int]:
        generated = ids[len(prompt) :].tolist()
        following = {
            sequence[len(generated)]
            for sequence in sequences
            if sequence[: len(generated)] == generated != list(sequence)
        }
        return sorted(following) or list(range(V))

    ids = torch.from_numpy(prompt.astype(np.int64))[None]
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=steps,
        do_sample=False,
        eos_token_id=EOS,
        pad_token_id=PAD,
        prefix_allowed_tokens_fn=allowed,
    )[0, len(prompt) :].tolist()
    return output[: output.index(EOS)] if EOS in output else output


def near_tie(model: Any, prompt: np.ndarray, generated: Sequence[int]) -> bool:
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt.tolist(), *generated]])).logits[0, -1]
    first, second = logits.topk(2).values.tolist()
    return first - second < NEAR


def assert_same(model: Any, data: Sequence[np.ndarray], sequences: list[list[int]], batch_size: int = 64) -> list[int]:
    """Token by token; the lengths of the answers."""
    texts = ask(model, sequences, batch_size)(data)
    ties = 0
    wanted = [peer(model, prompt, sequences, 14) for prompt in data]
    for prompt, text, tokens in zip(data, texts, wanted, strict=True):
        ours = [int(token) for token in text.split()]
        if ours != tokens:
            same = next(i for i, (a, b) in enumerate(zip([*ours, EOS], [*tokens, EOS], strict=False)) if a != b)
            assert near_tie(model, prompt, tokens[:same])
            ties += 1
    assert ties <= len(data) // 10
    return [len(tokens) for tokens in wanted]


@pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC, [[10, 11, 12]]], ids=["even", "ragged", "atomic", "one"])
def test_same_tokens_as_generate(falcon: Any, sequences: list[list[int]]) -> None:
    lengths = assert_same(falcon, prompts(24), sequences, 20)
    assert min(lengths) < 14
    assert len(set(lengths)) > 2 or len(sequences) == 1  # rows end at different steps


@pytest.mark.parametrize("name", list(OTHERS))
def test_same_tokens_as_generate_of_other_models(name: str) -> None:
    assert_same(lively(OTHERS[name]()), prompts(8), RAGGED)


def test_model_with_adapter(falcon: Any) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(lively(new_tiny_falcon(V, 32, 2, 2, seed=0)), LoraConfig(target_modules=["dense"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    model.eval()
    assert_same(model, prompts(6), EVEN)
    assert ask(model, EVEN)(prompts(6)) != ask(falcon, EVEN)(prompts(6))


@pytest.mark.parametrize(
    "data",
    [
        [np.asarray([7]), np.asarray([8]), np.asarray([7, 8, 9])],
        [np.asarray([7])],
        [np.asarray([7, 8, 9, 50])] * 5,
        prompts(1),
        [np.asarray([7, 8]), np.asarray([7, 8, 9, 10])],
    ],
    ids=["one token", "one token alone", "all equal", "alone", "one begins the other"],
)
def test_edge_cases_of_prompts(falcon: Any, data: list[np.ndarray]) -> None:
    assert_same(falcon, data, EVEN)


def test_shared_prefix_and_forced_tokens_in_one_forward(falcon: Any) -> None:
    data = [np.r_[np.arange(50, 60), [i, 9]] for i in range(100, 112)]
    with forwards(falcon) as shapes:
        make_generator(falcon, Tokens(), DecodingSettings(max_new_tokens=9, batch_size=8), EVEN, [5, 6])(data)
    # ten shared tokens; two batches: the rest with the prefix, two id tokens, the last id token with the separator
    assert shapes == [(1, 10), (8, 4), (8, 1), (8, 1), (8, 4), (4, 4), (4, 1), (4, 1), (4, 4)]


def test_ended_rows_are_removed(falcon: Any) -> None:
    with forwards(falcon) as shapes:
        ask(falcon, EVEN, steps=40)(prompts(24))
    assert [shape[0] for shape in shapes[:3]] == [1, 16, 8]
    rows = [shape[0] for shape in shapes[3:]]
    assert rows[0] == 24 and rows == sorted(rows, reverse=True) and len(set(rows)) > 1
    assert all(after == before or 2 * after <= before for before, after in pairwise(rows))


@pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC], ids=["even", "ragged", "atomic"])
def test_catalogue_titles_have_the_same_id(falcon: Any, sequences: list[list[int]]) -> None:
    data = prompts(20)
    generated = make_generator(falcon, Tokens(), DecodingSettings(max_new_tokens=14), sequences, [5, 6])(data)
    with forwards(falcon) as shapes:
        texts = lookup(falcon, sequences)(data)
    # the shared prefix, two parts of the prompts, a forward for each id token but the first
    assert len(shapes) <= 3 + max(map(len, sequences)) - 3
    known = {f"5 6 {Tokens.decode(sequence)}": i for i, sequence in enumerate(sequences)}
    for text, response in zip(texts, generated, strict=True):
        generated, title = text.split(" title ")
        assert response.startswith(generated) and known[generated] == int(title)
    assert len(set(texts)) > 2


@pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC], ids=["even", "ragged", "atomic"])
def test_a_generated_title_leaves_the_item_known(falcon: Any, sequences: list[list[int]]) -> None:
    answers = ask(falcon, sequences).generate(prompts(20))
    assert len({item for _, item in answers}) > 2
    for text, item in answers:
        assert item is not None and f"{text} ".startswith(f"{Tokens.decode(sequences[item])} ")


def test_catalogue_of_one_item_needs_no_forward(falcon: Any) -> None:
    with forwards(falcon) as shapes:
        assert lookup(falcon, [[10, 11]])(prompts(2)) == ["5 6 10 11 title 0"] * 2
    assert not shapes


def test_invalid_catalogue_titles(falcon: Any) -> None:
    with pytest.raises(UserError, match="response_title: catalogue needs decoding: constrained"):
        DecodingSettings("sample", response_title="catalogue")
    settings = DecodingSettings(response_title="catalogue")
    for titles in (None, ["one"]):
        with pytest.raises(ValueError, match="title of each item"):
            make_generator(falcon, Tokens(), settings, EVEN, [], titles)
    with pytest.raises(ValueError, match="`complete` is needed"):
        Generator(falcon, Tokens(), settings, ItemTrie.build(EVEN, V))


def test_logits_that_are_not_finite(falcon: Any) -> None:
    trie, lm = ItemTrie.build(EVEN, V), CausalLMRunner(falcon, PAD)
    with torch.no_grad():
        run = PromptBatch(lm, lm.share(np.asarray([50, 51])), [np.asarray([7]), np.asarray([8])], 9)
    run.logits[1] = torch.nan
    with pytest.raises(RuntimeError, match="no allowed token"):
        greedy_search(run, trie, ItemTrie.ROOT, 9, EOS, at_item=False)


@contextmanager
def small_memory(model: Any, most: int) -> Iterator[None]:
    """More rows than `most` run out of memory."""

    def refuse(_: Any, args: Any, kwargs: Any) -> None:
        if len(kwargs["input_ids"]) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    hook = model.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def test_out_of_memory_halves_the_batch(falcon: Any, caplog: pytest.LogCaptureFixture) -> None:
    data = prompts(20)
    generator = ask(falcon, EVEN, batch_size=16)
    wanted, best = generator(data), generator.best(data, 3)
    with small_memory(falcon, 5):
        assert generator(data) == wanted
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"out of memory with a batch of {n} prompts; continuing with {n // 2}" for n in (16, 8)]
    with small_memory(falcon, 5):
        assert np.array_equal(generator.best(data, 3)[0], best[0])


def test_out_of_memory_with_one_prompt(falcon: Any) -> None:
    with small_memory(falcon, 0), pytest.raises(UserError, match="not enough GPU memory for one prompt"):
        ask(falcon, EVEN)(prompts(4))
