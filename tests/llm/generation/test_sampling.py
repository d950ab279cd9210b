"""Sampled tokens against `model.generate` from the same seed, and what ran for them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.batching import left_pad
from recbole_llmfashion.llm.generation.cached_forward import decoding_step as decoding_step_module
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.device_search import CHECK_EVERY
from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.llm.generation.sampling import _draw, _warpers, sample
from tests.helpers.copies import Copies
from tests.helpers.decoding import EOS, OTHERS, PAD, Tokens, forwards, lively, prompts, small_falcon
from tests.helpers.recorded import Recorded

STEPS = 14


@pytest.fixture(scope="module")
def falcon() -> Any:
    return small_falcon()


def generated(model: Any, data: Sequence[np.ndarray], seed: int, temperature: float, top_p: float) -> list[list[int]]:
    """By transformers; each row up to its end."""
    ids, mask = left_pad(data, PAD)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=STEPS,
            do_sample=True,
            temperature=temperature,
            top_p=top_p,
            top_k=0,
            eos_token_id=EOS,
            pad_token_id=PAD,
        )[:, ids.shape[1] :].tolist()
    return [row[: row.index(EOS)] if EOS in row else row for row in output]


def sampler(model: Any, seed: int, temperature: float, top_p: float, batch_size: int = 64) -> Generator:
    settings = DecodingSettings(
        "sample", max_new_tokens=STEPS, temperature=temperature, top_p=top_p, batch_size=batch_size, seed=seed
    )
    return Generator(model, Tokens(), settings)


def sampled(model: Any, data: Sequence[np.ndarray], seed: int, graphs: bool = False, **options: Any) -> torch.Tensor:
    lm = CausalLMRunner(model, PAD)
    lm.cuda_graphs = graphs
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        batch = PromptBatch(lm, lm.share(data[0][:0]), data, STEPS)
        with Copies() as copies:
            out = sample(batch, STEPS, 1.0, 0.9, EOS, **options)
    assert options.get("look", True) or copies.seen == ["_local_scalar_dense"] * (STEPS // CHECK_EVERY)
    return out


def tokens_of(texts: Sequence[str]) -> list[list[int]]:
    return [[int(token) for token in text.split()] for text in texts]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (2.0, 0.5), (0.05, 0.95)])
@pytest.mark.parametrize("seed", [0, 1])
def test_same_tokens_as_generate(falcon: Any, temperature: float, top_p: float, seed: int) -> None:
    data = sorted(prompts(20), key=len, reverse=True)  # as the batches are made
    wanted = generated(falcon, data, seed, temperature, top_p)
    assert tokens_of(sampler(falcon, seed, temperature, top_p)(data)) == wanted
    assert len(set(map(len, wanted))) > 2 and min(map(len, wanted)) < STEPS  # rows end at different steps


@pytest.mark.parametrize("name", list(OTHERS))
def test_same_tokens_as_generate_of_other_models(name: str) -> None:
    model, data = lively(OTHERS[name]()), sorted(prompts(8), key=len, reverse=True)
    assert tokens_of(sampler(model, 5, 1.0, 0.9)(data)) == generated(model, data, 5, 1.0, 0.9)


def test_a_prefix_is_computed_once_and_rows_that_ended_leave(falcon: Any) -> None:
    data = prompts(12, begin=30)
    with forwards(falcon) as shapes:
        texts = sampler(falcon, 0, 0.3, 1.0)(data)
    lengths = [min(len(row) + 1, STEPS) for row in tokens_of(texts)]
    prefill = [shape for shape in shapes if shape[1] > 1]
    assert prefill[0] == (1, 30) and sum(rows * width for rows, width in prefill[1:]) <= 12 * 12
    fed = [rows for rows, width in shapes[len(prefill) :]]
    assert len(fed) == max(lengths) - 1 and fed[-1] <= 6 and sum(fed) < 9 * len(fed)


def test_a_draw_does_not_depend_on_who_has_ended() -> None:
    probabilities = torch.rand(7, 50).softmax(1)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        everyone = _draw(probabilities, torch.arange(7), 7)
        torch.manual_seed(3)
        rows = torch.tensor([1, 4, 6])
        some = _draw(probabilities[rows], rows, 7)
    assert some.tolist() == everyone[rows].tolist()


def test_the_nucleus_by_hand() -> None:
    """Probabilities .5, .25, .125, .125: .5 and .25 reach .7; at temperature 1/2 they are 16, 4, 1, 1 of 22."""
    logits = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    kept = _warpers(1.0, 0.7)(torch.zeros(1, 0), logits).softmax(1)
    assert kept.tolist() == [[pytest.approx(2 / 3), pytest.approx(1 / 3), 0, 0]]
    assert torch.equal(_warpers(1, 1)(torch.zeros(1, 0), logits), logits)  # whole numbers, as a YAML file may have them
    sharp = _warpers(0.5, 1.0)(torch.zeros(1, 0), logits).softmax(1)
    assert sharp.tolist() == [[pytest.approx(share / 22) for share in (16, 4, 1, 1)]]


def test_the_tokens_so_far_are_passed_on(falcon: Any) -> None:
    received: list[list[list[int]]] = []
    out = sampled(falcon, prompts(3), 0, on_text=lambda rows: received.append(rows.tolist()))
    assert [len(rows[0]) for rows in received] == list(range(1, len(received) + 1))
    assert received[-1] == out[:, : len(received)].tolist() and (out[:, len(received) :] == EOS).all()


@pytest.mark.parametrize("graphs", [False, True])
def test_as_on_a_gpu(falcon: Any, graphs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No row leaves, nothing but a look at every eighth token copies to the host, and the tokens are the same."""
    monkeypatch.setattr(decoding_step_module, "Captured", Recorded)
    data = sorted(prompts(10), key=len, reverse=True)
    out = sampled(falcon, data, 2, graphs, look=False).tolist()
    assert all(set(row[row.index(EOS) :]) == {EOS} for row in out if EOS in row)
    assert [row[: row.index(EOS)] if EOS in row else row for row in out] == generated(falcon, data, 2, 1.0, 0.9)
