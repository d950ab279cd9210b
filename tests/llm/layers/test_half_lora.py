"""LoRA in one pass in bf16 and fp16 against peft's, and its fp32 masters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import FalconConfig, FalconForCausalLM

from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.loss import response_loss
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.layers.falcon import fused_falcon
from recbole_llmfashion.llm.layers.half_lora import half_lora
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from tests.helpers.training import add_adapter

Examples = Callable[[int, int], list[Example]]


def adapted(folder: Path, quantization: Any, dtype: Any, **settings: Any) -> Any:
    """A model whose adapter changes its output."""
    backbone = load_backbone(str(folder), quantization, dtype, "cpu")
    model = add_adapter(backbone, FinetuneSettings(**settings))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1, generator=generator)
    return model.train()


def backward(model: Any, examples: list[Example], collect: Callable[[], None] = lambda: None) -> Tensor:
    torch.manual_seed(5)
    sums, _ = response_loss(model, collate(examples, 0))
    sums.sum().backward()
    collect()
    return sums.detach()


def gradients(model: Any) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])


@pytest.mark.parametrize(("quantization", "dtype"), [("none", "bf16"), ("nf4", "bf16"), ("none", "fp16")])
@pytest.mark.parametrize("alpha", [16, 40])
def test_losses_and_gradients_are_pefts_to_rounding(
    folder: Path, random_examples: Examples, quantization: Any, dtype: Any, alpha: int
) -> None:
    model = adapted(folder, quantization, dtype, lora_dropout=0.0, lora_alpha=alpha)
    examples = random_examples(6, 1)
    expected, wanted = backward(model, examples), gradients(model)
    model.zero_grad()
    with half_lora(model) as copies:
        assert copies.layers == 16
        found = backward(model, examples, copies.collect)
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.05)
    assert gradients(model).dtype == torch.float32
    assert float((gradients(model) - wanted).norm() / wanted.norm()) < 0.05
    assert not any("forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_falcon_7bs_architecture(random_examples: Examples, bias: bool, checkpointing: bool) -> None:
    """One key for all heads, and blocks whose MLP and attention are added in place."""
    torch.manual_seed(0)
    shape = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    lm = FalconForCausalLM(FalconConfig(**shape, multi_query=True, parallel_attn=True, bias=bias, alibi=False))
    for name, parameter in lm.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_(0, 0.1)
    model: Any = new_adapter(Backbone(lm.bfloat16(), None, "toy", 0), 4, 4, 0.0, "auto", 0).train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1)
    examples = random_examples(6, 1)
    expected, wanted = backward(model, examples), gradients(model)
    model.zero_grad()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    with half_lora(model) as copies, fused_falcon(model) as fused:
        assert copies.layers == 8 and fused
        found = backward(model, examples, copies.collect)
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.05)
    assert float((gradients(model) - wanted).norm() / wanted.norm()) < 0.05


@pytest.mark.parametrize("bits", [False, True])
def test_dropout_has_pefts_expectation(folder: Path, random_examples: Examples, bits: bool) -> None:
    """The same share is dropped, kept inputs are scaled up, and the gradient goes through kept inputs alone."""
    model = adapted(folder, "none", "bf16", lora_dropout=0.5)
    layer = next(module for module in model.modules() if hasattr(module, "lora_A"))
    width = layer.in_features
    with torch.no_grad():
        layer.base_layer.weight.zero_()
        layer.lora_A["default"].weight.zero_()[0] = 1 / width
        layer.lora_B["default"].weight.zero_()[:, 0] = 1
    x = torch.ones(400, width, dtype=torch.bfloat16, requires_grad=True)
    with half_lora(model, bits) as copies:
        torch.manual_seed(0)
        y = layer(x)
        y.sum().backward()
        copies.collect()
    assert float(y.float().mean()) == pytest.approx(1, abs=0.03)
    out = layer.out_features  # d y / d x of a kept input: out * 2 / width; of a dropped one: 0
    assert x.grad is not None and set(x.grad.unique().tolist()) == {0.0, 2 * out / width}
    kept = (x.grad > 0).float().mean(1) * 2
    torch.testing.assert_close(y[:, 0].float(), kept, rtol=0.02, atol=0.02)


def test_micro_batches_add_up_in_fp32(folder: Path, random_examples: Examples) -> None:
    model = adapted(folder, "none", "bf16", lora_dropout=0.0)
    examples = random_examples(8, 2)
    with half_lora(model) as copies:
        backward(model, examples[:4], copies.collect)
        first = gradients(model).clone()
        backward(model, examples[4:], copies.collect)
        both = gradients(model).clone()
    model.zero_grad()
    with half_lora(model) as copies:
        backward(model, examples[4:], copies.collect)
    torch.testing.assert_close(both, first + gradients(model), rtol=0, atol=0)


@pytest.mark.parametrize("quantization", ["none", pytest.param("nf4", marks=pytest.mark.slow)])
def test_twenty_steps_are_pefts_to_rounding(
    folder: Path, random_examples: Examples, quantization: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = random_examples(8, 3)

    def losses() -> np.ndarray:
        model = adapted(folder, quantization, "bf16", lora_dropout=0.0)
        training = TrainStep(model, examples, 3e-3, 0.0, 1.0, 1, 20, micro_batch=8, item_embedding_lr=0.0)
        return np.asarray([training.step([np.arange(8)]) for _ in range(20)])

    found = losses()
    monkeypatch.setattr("recbole_llmfashion.llm.layers.half_lora.adapter_of", lambda _: None)
    expected = losses()
    assert expected[-1] < expected[0] - 0.3
    np.testing.assert_allclose(found, expected, atol=0.03)


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_generation_gives_pefts_logits_to_rounding(folder: Path, quantization: Any) -> None:
    model = adapted(folder, quantization, "bf16", lora_alpha=40).eval()
    ids = torch.arange(5, 25).view(2, 10)
    with torch.no_grad():
        expected = model(ids).logits.float()
        with half_lora(model) as copies:
            found = model(ids).logits.float()
    assert copies.layers == 16
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)
    with torch.no_grad(), model.disable_adapter():
        assert float((model(ids).logits.float() - expected).abs().max()) > 0.2


def test_fp32_on_a_cpu_and_other_layers_are_left_alone(folder: Path, random_examples: Examples) -> None:
    with half_lora(adapted(folder, "none", "fp32")) as copies:
        assert copies.layers == 0
    model = adapted(folder, "none", "bf16")
    with model.disable_adapter(), half_lora(model) as copies:
        assert copies.layers == 0
