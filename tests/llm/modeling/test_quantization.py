"""NF4 quantization of a small Falcon, and the messages of bitsandbytes."""

import logging
from contextlib import nullcontext
from pathlib import Path

import bitsandbytes
import pytest
import torch
from transformers.models.falcon import modeling_falcon

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling import backbone as backbone_module
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from recbole_llmfashion.llm.modeling.quantization import assert_quantized, nf4_config, quiet_kernel_hint


def test_nf4_config() -> None:
    config = nf4_config(torch.bfloat16)
    assert (config.load_in_4bit, config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == (True, "nf4", True)
    assert config.bnb_4bit_compute_dtype == torch.bfloat16


def test_all_projections_of_falcon_are_quantized(nf4: Backbone) -> None:
    layers = [m for m in nf4.model.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    assert nf4.quantized_layers == len(layers) == 16
    assert {layer.weight.quant_type for layer in layers} == {"nf4"}
    assert all(layer.weight.quant_state.nested for layer in layers)  # double quantization
    assert {layer.weight.dtype for layer in layers} == {torch.uint8}
    assert modeling_falcon.FalconLinear.__name__ == "FalconLinear"  # the patch was undone


def test_assert_quantized_without_the_falcon_patch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_module, "plain_falcon_linear", nullcontext)
    with pytest.raises(UserError, match=r"0 of 16 linear layers .* FalconLinear"):
        load_backbone(str(folder), "nf4", device="cpu")


def test_assert_quantized_with_one_plain_layer(nf4: Backbone) -> None:
    layer = nf4.model.transformer.h[2].mlp
    layer.dense_h_to_4h = torch.nn.Linear(32, 128)
    with pytest.raises(UserError, match="15 of 16"):
        assert_quantized(nf4.model, "x")


@pytest.mark.parametrize(
    ("quant_type", "compress_statistics", "quantized"),
    [("nf4", True, 16), ("fp4", True, 15), ("nf4", False, 15)],
)
def test_assert_quantized_with_one_layer_of_another_quantization(
    nf4: Backbone, quant_type: str, compress_statistics: bool, quantized: int
) -> None:
    layer = nf4.model.transformer.h[2].mlp
    layer.dense_h_to_4h = bitsandbytes.nn.Linear4bit(
        32, 128, bias=False, quant_type=quant_type, compress_statistics=compress_statistics
    ).to("cpu")
    with nullcontext() if quantized == 16 else pytest.raises(UserError, match=f"{quantized} of 16"):
        assert assert_quantized(nf4.model, "x") == 16


def test_gradient_after_a_generation(nf4: Backbone) -> None:
    """On a CPU with AVX512-BF16 bitsandbytes would pack the weights at the first forward in eval mode."""
    layer = nf4.model.transformer.h[0].mlp.dense_h_to_4h
    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    dense = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), x @ dense.T, rtol=1e-5, atol=1e-6)  # fp32, not bf16
    x.requires_grad_(True)
    layer.train()(x).sum().backward()
    torch.testing.assert_close(x.grad, dense.sum(0).expand(3, -1), rtol=1e-5, atol=1e-5)


def test_quiet_kernel_hint(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    with caplog.at_level("WARNING"), quiet_kernel_hint():
        logger.warning("Failed to load CPU gemm_4bit_forward from kernels-community: %s.", "no kernels")
        logger.warning("something else")
    logger.warning("kernels-community again")
    assert [record.getMessage() for record in caplog.records] == ["something else", "kernels-community again"]
