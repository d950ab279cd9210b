from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon

EOS = 1


def prompts(n: int, seed: int = 0, vocabulary: int = 250) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(2, vocabulary, rng.integers(1, 30)).astype(np.int32) for _ in range(n)]


def greedy(model: Any, prompt: np.ndarray, steps: int, sequences: Sequence[Sequence[int]] = ((),)) -> list[int]:
    """The slow way: no cache, no padding, no trie, one token at a time."""
    ids, new = torch.from_numpy(prompt.astype(np.int64))[None], []
    for _ in range(steps):
        with torch.no_grad():
            logits = model(ids).logits[0, -1]
        begun = [list(sequence) for sequence in sequences if list(sequence[: len(new)]) == new]
        if begun and all(len(sequence) > len(new) for sequence in begun):
            allowed = torch.zeros(len(logits), dtype=torch.bool)
            allowed[[sequence[len(new)] for sequence in begun]] = True
            logits = logits.masked_fill(~allowed, -torch.inf)
        token = logits.argmax()
        if int(token) == EOS:
            break
        new.append(int(token))
        ids = torch.cat([ids, token[None, None]], 1)
    return new


def catalogue(n: int, vocabulary: int) -> list[list[int]]:
    rng = np.random.default_rng(7)
    bodies = {tuple(rng.integers(2, 30, rng.integers(1, 5)).tolist()) for _ in range(n)}
    return [[*body, 40] for body in sorted(bodies)]


@pytest.fixture(scope="module")
def lively(tokenizer: Any) -> Any:
    """A model whose greedy answers differ by prompt and end at different steps."""
    model = new_tiny_falcon(len(tokenizer), 32, 2, 2, seed=4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
        model.lm_head.weight[EOS] *= 2
    return model.eval()


def test_constrained_answers_are_those_of_single_prompts_without_cache_or_padding(lively: Any, tokenizer: Any) -> None:
    sequences = catalogue(60, len(tokenizer))
    trie = ItemTrie.build(sequences, len(tokenizer))
    data, prefix = prompts(17), [50, 51]
    settings = DecodingSettings(max_new_tokens=14, batch_size=5)
    texts = Generator(lively, tokenizer, settings, trie, prefix)(data)
    wanted = [[*prefix, *greedy(lively, np.r_[prompt, prefix], 12, sequences)] for prompt in data]
    assert texts == [tokenizer.decode(ids) for ids in wanted]
    assert len({len(ids) for ids in wanted}) > 3 and len(set(texts)) > 10  # the model is lively enough to prove it
    allowed = {tuple(sequence) for sequence in sequences}
    for ids in wanted:
        body = ids[2 : ids.index(40, 2) + 1]
        assert tuple(body) in allowed


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_batch_size_changes_nothing(lively: Any, tokenizer: Any, batch_size: int) -> None:
    trie = ItemTrie.build(catalogue(60, len(tokenizer)), len(tokenizer))
    data = prompts(9, seed=3)
    ask = lambda size: Generator(lively, tokenizer, DecodingSettings(max_new_tokens=10, batch_size=size), trie)(data)  # noqa: E731
    assert ask(batch_size) == ask(3)


def test_none_and_one(lively: Any, tokenizer: Any) -> None:
    generator = Generator(
        lively, tokenizer, DecodingSettings(max_new_tokens=5), ItemTrie.build([[5, 6]], len(tokenizer)), [50]
    )
    assert generator([]) == []
    one = prompts(1)
    text = tokenizer.decode([50, *greedy(lively, np.r_[one[0], 50], 4, [[5, 6]])])
    assert generator.generate(one) == [(text, 0)]
    assert generator(one)[0].startswith(tokenizer.decode([50, 5, 6]))


def test_what_follows_the_end_is_cut_and_marks_are_skipped(lively: Any, tokenizer: Any) -> None:
    generator = Generator(lively, tokenizer, DecodingSettings(decoding="sample", max_new_tokens=5))
    assert generator._text(np.asarray([50, 0, 51, EOS, 52, EOS])) == tokenizer.decode([50, 51])


def test_sampling_is_repeatable_follows_its_seed_and_leaves_the_global_generator_alone(
    lively: Any, tokenizer: Any
) -> None:
    data = prompts(8)
    ask = lambda seed, temperature: Generator(  # noqa: E731
        lively,
        tokenizer,
        DecodingSettings("sample", max_new_tokens=8, temperature=temperature, top_p=1.0, batch_size=3, seed=seed),
    )(data)
    state = torch.get_rng_state()
    first = ask(1, 3.0)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(3)
    assert ask(1, 3.0) == first and ask(2, 3.0) != first
    cold = [tokenizer.decode(greedy(lively, prompt, 8)) for prompt in data]
    assert ask(1, 1e-4) == cold and first != cold


def test_top_p_drops_the_tail(lively: Any, tokenizer: Any) -> None:
    data = prompts(8)
    narrow = Generator(lively, tokenizer, DecodingSettings("sample", max_new_tokens=8, temperature=1.0, top_p=1e-6))
    assert narrow(data) == [tokenizer.decode(greedy(lively, prompt, 8)) for prompt in data]


def test_the_models_own_generation_config_decides_nothing(tokenizer: Any, lively: Any) -> None:
    trie = ItemTrie.build(catalogue(60, len(tokenizer)), len(tokenizer))
    data = prompts(6)
    ask = lambda: (  # noqa: E731
        Generator(lively, tokenizer, DecodingSettings(max_new_tokens=10), trie)(data),
        Generator(lively, tokenizer, DecodingSettings("sample", max_new_tokens=10, temperature=1e-4))(data),
    )
    before, original = ask(), lively.generation_config
    hostile = GenerationConfig(
        do_sample=True,
        temperature=9.0,
        num_beams=3,
        repetition_penalty=5.0,
        no_repeat_ngram_size=1,
        suppress_tokens=list(range(10, 250)),
        min_new_tokens=9,
        eos_token_id=7,
        forced_eos_token_id=9,
    )
    lively.generation_config = hostile
    try:
        assert ask() == before
        assert lively.generation_config is hostile
    finally:
        lively.generation_config = original


def test_a_quantized_model_with_an_adapter_generates_in_eval_mode_and_goes_back(nf4: Backbone) -> None:
    from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
    from tests.helpers.training import add_adapter

    model = add_adapter(nf4, FinetuneSettings(lora_dropout=0.9)).train()
    sequences = catalogue(20, len(nf4.tokenizer))
    trie = ItemTrie.build(sequences, len(nf4.tokenizer))
    generator = Generator(model, nf4.tokenizer, DecodingSettings(max_new_tokens=8, batch_size=2), trie)
    data = prompts(5)
    texts = generator(data)
    assert model.training and generator(data) == texts
    wanted = [nf4.tokenizer.decode(greedy(model.eval(), prompt, 8, sequences)) for prompt in data]
    assert texts == wanted


def test_a_trie_deeper_than_the_tokens_left_is_refused(lively: Any, tokenizer: Any) -> None:
    trie = ItemTrie.build([[5, 6, 7, 8]], len(tokenizer))
    Generator(lively, tokenizer, DecodingSettings(max_new_tokens=5), trie, [50])
    with pytest.raises(UserError, match="leaves 3 tokens for an ID; the longest ID needs 4"):
        Generator(lively, tokenizer, DecodingSettings(max_new_tokens=5), trie, [50, 51])


def test_half_a_constraint_is_refused(lively: Any, tokenizer: Any) -> None:
    trie = ItemTrie.build([[5]], len(tokenizer))
    for settings, chosen, prefix in (
        (DecodingSettings(), None, ()),
        (DecodingSettings("sample"), trie, ()),
        (DecodingSettings("sample"), None, (5,)),
    ):
        with pytest.raises(ValueError, match="trie"):
            Generator(lively, tokenizer, settings, chosen, prefix)
    with pytest.raises(ValueError, match="end token"):
        Generator(lively, tokenizer, DecodingSettings(), ItemTrie.build([[5, EOS]], len(tokenizer)))


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 0.9), (-1.0, 0.9), (1.0, 0.0), (1.0, 1.1)])
def test_a_temperature_or_top_p_out_of_range_is_refused(
    lively: Any, tokenizer: Any, temperature: float, top_p: float
) -> None:
    with pytest.raises(UserError, match="temperature"):
        Generator(lively, tokenizer, DecodingSettings("sample", temperature=temperature, top_p=top_p))
