"""A decoding step with fixed tensors, recorded once and repeated: the answers of the search that grows its cache."""

from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_llmfashion.llm.generation import generator as generator_module
from recbole_llmfashion.llm.generation.cached_forward import decoding_step as decoding_step_module
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.device_search import device_search
from recbole_llmfashion.llm.layers.half_lora import half_lora
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from tests.helpers.decoding import EVEN, OTHERS, PAD, RAGGED, ask, forwards, lively, prompts
from tests.helpers.decoding import small_falcon as make_falcon
from tests.helpers.recorded import Recorded


@pytest.fixture(params=["as they come", "recorded"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(generator_module, "greedy_search", device_search)
    monkeypatch.setattr(Recorded, "repeats", 0)
    if request.param == "recorded":
        monkeypatch.setattr(decoding_step_module, "Captured", Recorded)
    return str(request.param)


@pytest.mark.parametrize("sequences", [EVEN, RAGGED], ids=["even", "ragged"])
@pytest.mark.parametrize("make", [make_falcon, lambda: lively(OTHERS["llama"]())], ids=["falcon", "llama"])
def test_answers_are_those_without_graphs(make: Any, sequences: list[list[int]], way: str) -> None:
    data, generator = prompts(20), ask(make(), sequences, batch_size=8)
    plain = generator.generate(data)
    generator.lm.cuda_graphs = True
    assert generator.generate(data) == plain
    assert len({text for text, _ in plain}) > 5
    assert (Recorded.repeats > 10) is (way == "recorded")


def adapted(folder: Path, quantization: Any, dtype: Any) -> Any:
    """A model with an adapter that changes its outputs."""
    model: Any = new_adapter(load_backbone(str(folder), quantization, dtype, "cpu"), 4, 4, 0.0, "auto", seed=0)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1)
    return model.eval()


@pytest.mark.parametrize(("quantization", "dtype"), [("none", "fp32"), ("nf4", "bf16"), ("none", "fp16")])
def test_logits_are_those_of_a_growing_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch, quantization: Any, dtype: Any
) -> None:
    """With LoRA in the compute type, as in `Generator`; the second and later tokens are recorded operations."""
    monkeypatch.setattr(decoding_step_module, "Captured", Recorded)
    model, data = adapted(folder, quantization, dtype), prompts(6)
    lm, tokens = CausalLMRunner(model, PAD), torch.arange(60, 90).view(6, 5)

    def logits(cuda_graphs: bool) -> list[torch.Tensor]:
        lm.cuda_graphs = cuda_graphs
        batch = PromptBatch(lm, lm.share(data[0][:6]), [prompt[6:] for prompt in data], 6)
        return [batch.logits, *(batch.feed(part).clone() for part in tokens.split([1, 3, 1], 1))]

    with torch.no_grad(), half_lora(model):
        grown, fixed = logits(False), logits(True)
    assert not torch.equal(grown[1], grown[2])
    for one, other in zip(grown, fixed, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5 if dtype == "fp32" else 2e-2)


def test_each_step_has_the_shape_of_the_first(way: str) -> None:
    generator = ask(make_falcon(), EVEN, steps=9)
    generator.lm.cuda_graphs = True
    with forwards(generator.model) as shapes:
        generator(prompts(8))
    # the shared beginning, the prompts, then a token each; what is recorded calls the model twice
    assert [columns for _, columns in shapes][2:] == [1] * (2 if way == "recorded" else 8)
