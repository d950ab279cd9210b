"""Decoding against `model.generate` with `prefix_allowed_tokens_fn`, beams against every sequence's own score."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    FalconConfig,
    FalconForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.constrain import IdTrie
from recbole_llmfashion.llm.decode import greedy
from recbole_llmfashion.llm.embedded import new_embedded
from recbole_llmfashion.llm.generate import DecodingSettings, Generator, make_generator
from recbole_llmfashion.llm.run import CausalLM, Run, common_prefix

EOS, PAD, V = 1, 0, 300
NEAR = 1e-4
EVEN = [[10 + a, 20 + b, 30 + c, 40, 41, 42] for a, b, c in product(range(3), range(3), range(3))]
RAGGED = [[10, 40, 41], [10, 20, 40, 41], [10, 20, 30, 40, 41], [11, 22, 40, 41], [12, 40, 41], [12, 21, 33, 40, 41]]
ATOMIC = [[60 + i, 40, 41] for i in range(25)]


class Tokens:
    """A tokenizer whose texts are the numbers of its tokens."""

    eos_token_id, pad_token_id = EOS, PAD

    def __len__(self) -> int:
        return V

    @staticmethod
    def decode(ids: Sequence[int], **kwargs: Any) -> str:
        return " ".join(map(str, ids))


def lively(model: Any, seed: int = 0) -> Any:
    """Weights that make answers differ by prompt and end at different steps."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape) * 0.16)
        model.get_output_embeddings().weight[EOS] *= 2
    return model.eval()


@pytest.fixture(scope="module")
def falcon() -> Any:
    return lively(new_embedded(V, 32, 2, 2, seed=0))


def _small(config: type, **extra: Any) -> Any:
    sizes = {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return config(**sizes, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None, **extra)


OTHERS: dict[str, Callable[[], Any]] = {
    "falcon of one key head, ALiBi": lambda: FalconForCausalLM(
        _small(FalconConfig, multi_query=True, alibi=True, new_decoder_architecture=False)
    ),
    "llama": lambda: LlamaForCausalLM(_small(LlamaConfig, intermediate_size=48)),
    "mistral of windows": lambda: MistralForCausalLM(
        _small(MistralConfig, intermediate_size=48, num_key_value_heads=1, sliding_window=9)
    ),
}


def prompts(n: int, begin: int = 6, seed: int = 0, longest: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    head = rng.integers(50, V, begin)
    return [np.r_[head, rng.integers(50, V, rng.integers(1, longest))].astype(np.int32) for _ in range(n)]


def peer(model: Any, prompt: np.ndarray, sequences: Sequence[Sequence[int]], steps: int) -> list[int]:
    def allowed(_: int, ids: torch.Tensor) -> list[int]:
        said = ids[len(prompt) :].tolist()
        following = {sequence[len(said)] for sequence in sequences if sequence[: len(said)] == said != list(sequence)}
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


def near_tie(model: Any, prompt: np.ndarray, said: Sequence[int]) -> bool:
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt.tolist(), *said]])).logits[0, -1]
    first, second = logits.topk(2).values.tolist()
    return first - second < NEAR


def ask(model: Any, sequences: Sequence[list[int]], batch_size: int = 64, steps: int = 14) -> Generator:
    settings = DecodingSettings(max_new_tokens=steps, batch_size=batch_size)
    return make_generator(model, Tokens(), settings, sequences, [])


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


@contextmanager
def forwards(model: Any) -> Iterator[list[tuple[int, ...]]]:
    """The shape of each input."""
    shapes: list[tuple[int, ...]] = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        yield shapes
    finally:
        hook.remove()


@pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC, [[10, 11, 12]]], ids=["even", "ragged", "atomic", "one"])
def test_the_tokens_are_those_of_generate(falcon: Any, sequences: list[list[int]]) -> None:
    lengths = assert_same(falcon, prompts(24), sequences, 20)
    assert min(lengths) < 14
    assert len(set(lengths)) > 2 or len(sequences) == 1  # rows end at different steps


@pytest.mark.parametrize("name", list(OTHERS))
def test_the_tokens_are_those_of_generate_whatever_the_model(name: str) -> None:
    assert_same(lively(OTHERS[name]()), prompts(8), RAGGED)


def test_an_adapter_takes_part(falcon: Any) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(lively(new_embedded(V, 32, 2, 2, seed=0)), LoraConfig(target_modules=["dense"]))
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
def test_prompts_at_the_edge(falcon: Any, data: list[np.ndarray]) -> None:
    assert_same(falcon, data, EVEN)


def test_the_common_prefix_leaves_a_token() -> None:
    of = lambda *rows: common_prefix([np.asarray(row) for row in rows])  # noqa: E731
    assert of([1, 2, 3], [1, 2, 4]) == 2 and of([1, 2, 3]) == 2 and of([1, 2], [1, 2, 3]) == 1
    assert of([1], [1]) == 0 and of([1, 2], [2, 2]) == 0 and common_prefix([]) == 0


def test_what_prompts_share_is_run_once_and_forced_tokens_in_one_chunk(falcon: Any) -> None:
    data = [np.r_[np.arange(50, 60), [i, 9]] for i in range(100, 112)]
    with forwards(falcon) as shapes:
        make_generator(falcon, Tokens(), DecodingSettings(max_new_tokens=9, batch_size=8), EVEN, [5, 6])(data)
    # ten shared tokens; two batches: the rest with the prefix, two id tokens, the last id token with the separator
    assert shapes == [(1, 10), (8, 4), (8, 1), (8, 1), (8, 4), (4, 4), (4, 1), (4, 1), (4, 4)]


def test_ended_rows_leave_the_batch(falcon: Any) -> None:
    with forwards(falcon) as shapes:
        ask(falcon, EVEN, steps=40)(prompts(24))
    assert [shape[0] for shape in shapes[:3]] == [1, 16, 8]
    rows = [shape[0] for shape in shapes[3:]]
    assert rows[0] == 24 and rows == sorted(rows, reverse=True) and len(set(rows)) > 1
    assert all(after == before or 2 * after <= before for before, after in pairwise(rows))


def lookup(model: Any, sequences: Sequence[Sequence[int]], batch_size: int = 64) -> Generator:
    settings = DecodingSettings(max_new_tokens=14, batch_size=batch_size, title_source="lookup")
    return make_generator(model, Tokens(), settings, sequences, [5, 6], [f"title {i}" for i in range(len(sequences))])


@pytest.mark.parametrize("sequences", [EVEN, RAGGED, ATOMIC], ids=["even", "ragged", "atomic"])
def test_lookup_says_the_same_id_and_the_catalogues_title(falcon: Any, sequences: list[list[int]]) -> None:
    data = prompts(20)
    generated = make_generator(falcon, Tokens(), DecodingSettings(max_new_tokens=14), sequences, [5, 6])(data)
    with forwards(falcon) as shapes:
        texts = lookup(falcon, sequences)(data)
    # the shared prefix, two parts of the prompts, a forward for each id token but the first
    assert len(shapes) <= 3 + max(map(len, sequences)) - 3
    known = {f"5 6 {Tokens.decode(sequence)}": i for i, sequence in enumerate(sequences)}
    for text, response in zip(texts, generated, strict=True):
        said, title = text.split(" title ")
        assert response.startswith(said) and known[said] == int(title)
    assert len(set(texts)) > 2


def test_lookup_in_a_catalogue_of_one_item_asks_nothing(falcon: Any) -> None:
    with forwards(falcon) as shapes:
        assert lookup(falcon, [[10, 11]])(prompts(2)) == ["5 6 10 11 title 0"] * 2
    assert not shapes


def test_half_a_lookup_is_refused(falcon: Any) -> None:
    with pytest.raises(UserError, match="title_source: lookup needs decoding: constrained"):
        DecodingSettings("sample", title_source="lookup")
    settings = DecodingSettings(title_source="lookup")
    for titles in (None, ["one"]):
        with pytest.raises(ValueError, match="title of each item"):
            make_generator(falcon, Tokens(), settings, EVEN, [], titles)
    with pytest.raises(ValueError, match="completed responses"):
        Generator(falcon, Tokens(), settings, IdTrie.build(EVEN, V))


def sequence_score(model: Any, prompt: np.ndarray, sequence: Sequence[int]) -> float:
    """Slow: one forward without cache for one sequence."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt.tolist(), *sequence]])).logits[0]
    logp = logits.log_softmax(1)
    return sum(float(logp[len(prompt) - 1 + i, token]) for i, token in enumerate(sequence))


# Scored: the ID; of RAGGED also the 40 that ends it.
CUT = [(EVEN, 3), (RAGGED, 1), (ATOMIC, 2), ([[10, 11, 12]], 2)]


@pytest.mark.parametrize(("sequences", "cut"), CUT, ids=["even", "ragged", "atomic", "one"])
def test_a_beam_as_wide_as_the_catalogue_ranks_all_of_it(falcon: Any, sequences: list[list[int]], cut: int) -> None:
    data, count = prompts(5), len(sequences) + 2
    items, scores = ask(falcon, sequences, batch_size=2).best(data, count)
    assert items.shape == scores.shape == (5, count) and scores.dtype == np.float32
    assert (items[:, -2:] == -1).all() and np.isneginf(scores[:, -2:]).all()
    for prompt, row, values in zip(data, items, scores, strict=True):
        wanted = np.asarray([sequence_score(falcon, prompt, sequence[:-cut]) for sequence in sequences])
        assert row[:-2].tolist() == np.argsort(-wanted).tolist()
        np.testing.assert_allclose(values[:-2], np.sort(wanted)[::-1], atol=2e-4)


def by_hand(model: Any, prompt: np.ndarray, sequences: list[list[int]], count: int) -> list[int]:
    """A beam search in Python over the beginnings of sequences that are all of one length."""
    beams: list[tuple[int, ...]] = [()]
    for depth in range(len(sequences[0])):
        longer = {tuple(s[: depth + 1]) for s in sequences if tuple(s[:depth]) in beams}
        beams = sorted(longer, key=lambda begun: -sequence_score(model, prompt, begun))[:count]
    return [sequences.index(list(beam)) for beam in beams]


@pytest.mark.parametrize("count", [1, 4])
def test_a_narrow_beam_keeps_the_best_beginnings(falcon: Any, count: int) -> None:
    data = prompts(4, seed=1)
    items, _ = ask(falcon, EVEN).best(data, count)
    ids = [sequence[:3] for sequence in EVEN]
    assert items.tolist() == [by_hand(falcon, prompt, ids, count) for prompt in data]


def test_beams_run_the_prompt_once_and_copy_nothing(falcon: Any) -> None:
    data = [np.r_[np.arange(50, 60), [i, 9]] for i in range(100, 108)]
    with forwards(falcon) as shapes:
        ask(falcon, EVEN).best(data, 5)
    assert shapes == [(1, 10), (8, 2), (8, 3), (8, 5)]


def test_scores_are_one_softmax_by_place(falcon: Any) -> None:
    order = np.random.default_rng(0).permutation(25)
    shuffled = [ATOMIC[i] for i in order]
    data = prompts(3)
    with forwards(falcon) as shapes:
        scores = ask(falcon, shuffled).scores(data)
    assert scores.shape == (3, 25) and scores.dtype == np.float32 and len(shapes) == 2
    for prompt, row in zip(data, scores, strict=True):
        with torch.no_grad():
            logp = falcon(torch.from_numpy(prompt.astype(np.int64))[None]).logits[0, -1].log_softmax(0)
        np.testing.assert_allclose(row, logp[[sequence[0] for sequence in shuffled]], atol=1e-4)
    with pytest.raises(ValueError, match="one token tells them apart"):
        ask(falcon, EVEN).scores(data)


def test_beams_that_cannot_be_had(falcon: Any) -> None:
    items, scores = ask(falcon, EVEN).best([], 3)
    assert items.shape == scores.shape == (0, 3)
    with pytest.raises(ValueError, match="one of them at least"):
        ask(falcon, EVEN).best(prompts(1), 0)
    with pytest.raises(ValueError, match="those of a trie"):
        Generator(falcon, Tokens(), DecodingSettings("sample")).best(prompts(1), 1)
    alibi = lively(OTHERS["falcon of one key head, ALiBi"]())
    for model in (alibi, lively(OTHERS["mistral of windows"]())):
        with pytest.raises(UserError, match="rotary or learned positions and full attention"):
            ask(model, EVEN).best(prompts(2), 2)
    assert ask(alibi, ATOMIC).best(prompts(2), 2)[0].shape == (2, 2)  # one softmax needs no tree


def test_logits_that_are_no_numbers_fail_closed(falcon: Any) -> None:
    trie, lm = IdTrie.build(EVEN, V), CausalLM(falcon, PAD)
    with torch.no_grad():
        run = Run(lm, lm.share(np.asarray([50, 51])), [np.asarray([7]), np.asarray([8])], 9)
    run.logits[1] = torch.nan
    with pytest.raises(RuntimeError, match="no allowed token"):
        greedy(run, trie, IdTrie.ROOT, 9, EOS, at_item=False)


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


def test_out_of_memory_halves_the_batch_and_says_so(falcon: Any, caplog: pytest.LogCaptureFixture) -> None:
    data = prompts(20)
    generator = ask(falcon, EVEN, batch_size=16)
    wanted, best = generator(data), generator.best(data, 3)
    with small_memory(falcon, 5):
        assert generator(data) == wanted
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"out of memory with {n} prompts at once; going on with {n // 2}" for n in (16, 8)]
    with small_memory(falcon, 5):
        assert np.array_equal(generator.best(data, 3)[0], best[0])


def test_memory_for_no_prompt_at_all_is_an_error(falcon: Any) -> None:
    with small_memory(falcon, 0), pytest.raises(UserError, match="no memory for even one prompt"):
        ask(falcon, EVEN)(prompts(4))
