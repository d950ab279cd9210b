"""The fused forward and backward against those of peft and transformers."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import Linear4bit
from torch.nn import functional as F
from transformers import FalconConfig, FalconForCausalLM
from transformers.models.falcon import modeling_falcon

from recbole_llmfashion.cpu.dropout import fast_dropout
from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning.perplexity import perplexities
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.loss import has_plain_head, response_loss
from recbole_llmfashion.llm.generation import generator as generator_module
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.llm.layers.falcon import fused_falcon
from recbole_llmfashion.llm.layers.fused_lora import fused_lora
from recbole_llmfashion.llm.modeling.backbone import Backbone, Quantization, load_backbone, load_tokenizer
from tests.helpers.training import add_adapter

Examples = Callable[[int, int], list[Example]]


def trained(folder: Path, quantization: Quantization, dropout: float) -> Any:
    """A model with an adapter whose output is not zero."""
    model = add_adapter(load_backbone(str(folder), quantization, device="cpu"), FinetuneSettings(lora_dropout=dropout))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1, generator=generator)
    return model.train()


def gradients(model: Any, examples: list[Example]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.zero_grad()
    torch.manual_seed(5)
    sums, _ = response_loss(model, collate(examples, 0))
    sums.sum().backward()
    return sums.detach(), [p.grad.clone() for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize(
    ("quantization", "dropout", "bits"),
    [("none", 0.0, False), ("none", 0.3, False), ("none", 0.3, True), ("nf4", 0.3, False), ("nf4", 0.3, True)],
)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_same_losses_and_gradients_as_peft(
    folder: Path, random_examples: Examples, quantization: Quantization, dropout: float, bits: bool, checkpointing: bool
) -> None:
    model = trained(folder, quantization, dropout)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    examples = random_examples(6, 1)
    with fast_dropout(bits):
        expected = gradients(model, examples)
    with fused_lora(model, bits) as layers, fused_falcon(model) as causal:
        assert layers == 16 and causal
        found = gradients(model, examples)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-5)
    assert len(found[1]) == 32 and min(float(gradient.abs().max()) for gradient in found[1]) > 0
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    with fast_dropout(bits):
        again = gradients(model, examples)  # and everything is as it was
    assert torch.equal(again[0], expected[0])
    assert all(torch.equal(one, other) for one, other in zip(again[1], expected[1], strict=True))


def test_causal_kernel_is_used(plain: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, bool]] = []
    original = F.scaled_dot_product_attention

    def watch(*args: Any, **given: Any) -> torch.Tensor:
        seen.append((given["attn_mask"] is None, given["is_causal"]))
        return original(*args, **given)

    has_plain_head(plain.model)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watch)
    for patch, expected in ((nullcontext(), (False, False)), (fused_falcon(plain.model), (True, True))):
        seen.clear()
        with patch:
            response_loss(plain.model, collate(random_examples(4, 0), 0))
        assert seen == [expected] * 4


@pytest.mark.parametrize("kind", [{"multi_query": True, "parallel_attn": True}, {"new_decoder_architecture": True}])
def test_gradients_of_other_falcon_architectures(kind: dict[str, Any], random_examples: Examples) -> None:
    """The first architecture is that of Falcon-7B."""
    torch.manual_seed(0)
    shape = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_kv_heads": 1}
    model = FalconForCausalLM(FalconConfig(**shape, **kind, bias=False, alibi=False)).train()
    expected = gradients(model, random_examples(5, 1))
    with fused_falcon(model):
        found = gradients(model, random_examples(5, 1))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-5)
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_unsupported_models_keep_their_mask(plain: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    original = modeling_falcon.create_causal_mask
    for key, value in (("alibi", True), ("model_type", "llama"), ("_attn_implementation", "eager")):
        with monkeypatch.context() as patch:
            patch.setattr(plain.model.config, key, value)
            with fused_falcon(plain.model) as causal:
                assert not causal and modeling_falcon.create_causal_mask is original


def test_adapter_of_another_dtype_is_not_fused(plain: Backbone) -> None:
    model = add_adapter(plain, FinetuneSettings())
    with fused_lora(model) as layers:
        assert layers == 16
    with model.disable_adapter(), fused_lora(model) as layers:
        assert layers == 0
    with fused_lora(model.to(torch.bfloat16)) as layers:
        assert layers == 0


def test_perplexity_and_generation_run_the_fused_layers(
    folder: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, examples = trained(folder, "nf4", 0.0), random_examples(9, 3)
    settings = DecodingSettings("sample", 8, batch_size=4, response_title="generated")
    generator = Generator(model, load_tokenizer(str(folder)), settings)
    prompts = [example.prompt for example in examples]
    with torch.no_grad():
        sums, counts = response_loss(model, collate(examples, 0))
    with monkeypatch.context() as patch:
        patch.setattr(generator_module, "fast_lora", nullcontext)
        expected = generator(prompts)
    calls: list[int] = []
    forward = Linear4bit.forward
    monkeypatch.setattr(Linear4bit, "forward", lambda *args, **given: calls.append(1) or forward(*args, **given))
    values = perplexities(model, examples, 4, show_progress=False)
    assert generator(prompts) == expected and not calls
    np.testing.assert_allclose(values, torch.exp(sums / counts), rtol=1e-4)
    with torch.no_grad():
        response_loss(model, collate(examples, 0))
    assert len(calls) == 16  # outside of them the layers are peft's again


def test_users_that_overlap_leave_nothing_behind(plain: Backbone) -> None:
    original = modeling_falcon.create_causal_mask
    one, other = fused_falcon(plain.model), fused_falcon(plain.model)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)  # before the other, as two threads may
    assert modeling_falcon.create_causal_mask is not original
    other.__exit__(None, None, None)
    assert modeling_falcon.create_causal_mask is original
