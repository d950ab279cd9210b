"""NF4 quantization (QLoRA, arXiv 2305.14314): workarounds for Falcon and for CPUs, and a check that it took place.

Written for transformers 5.5 and bitsandbytes 0.49.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.models.falcon import modeling_falcon
from transformers.pytorch_utils import Conv1D

from recbole_llmfashion.errors import UserError


@contextmanager
def quiet_kernel_hint() -> Iterator[None]:
    """Suppresses the message in which bitsandbytes recommends the `kernels` package when it is imported.

    With that package installed bitsandbytes would download a compiled kernel from a hub.
    """
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")

    def keep(record: logging.LogRecord) -> bool:
        return "kernels-community" not in record.getMessage()

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


with quiet_kernel_hint():
    import bitsandbytes


def nf4_config(compute_dtype: torch.dtype) -> BitsAndBytesConfig:
    """NF4 with double quantization; the default of bitsandbytes is fp4 without double quantization."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )


@contextmanager
def plain_falcon_linear() -> Iterator[None]:
    """Makes transformers build Falcon from `nn.Linear`.

    transformers only quantizes modules with `type(module) is nn.Linear`. Falcon's projections are a subclass that
    computes the same, so all of them would remain unquantized with only an unrelated warning.
    """
    original = modeling_falcon.FalconLinear
    modeling_falcon.FalconLinear = nn.Linear
    try:
        yield
    finally:
        modeling_falcon.FalconLinear = original


def full_precision_on_cpu(model: nn.Module) -> None:
    """Prevents bitsandbytes from repacking weights on CPUs with AVX512-BF16.

    There the first forward in eval mode permanently packs the weights for a bf16 kernel without a gradient. Training
    after a generation would then have no gradient through quantized layers, and fp32 results would be bf16.
    """
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _is_nf4(module: nn.Module) -> bool:
    if not isinstance(module, bitsandbytes.nn.Linear4bit):
        return False
    weight: Any = module.weight
    return weight.quant_type == "nf4" and weight.compress_statistics and weight.quant_state is not None


def _linear_layers(model: Any) -> list[nn.Module]:
    """The linear layers except the output head."""
    head = model.get_output_embeddings()
    return [m for m in model.modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]


def check_quantizable(skeleton: Any, name: str) -> None:
    """Checks that transformers will quantize every linear layer of a model; `assert_quantized` checks that it did.

    Args:
        skeleton: the model without weights, built within plain_falcon_linear.
        name: of the backbone, for the message.

    Raises:
        UserError: a layer will not be quantized.
    """
    linear = _linear_layers(skeleton)
    _refuse_skipped([m for m in linear if type(m) is not nn.Linear and not isinstance(m, Conv1D)], linear, name)


def _refuse_skipped(skipped: Sequence[nn.Module], linear: Sequence[nn.Module], name: str) -> None:
    if skipped or not linear:
        classes = ", ".join(sorted({type(module).__name__ for module in skipped})) or "none"
        raise UserError(
            f"{name}: {len(linear) - len(skipped)} of {len(linear)} linear layers were quantized to NF4 "
            f"(not quantized: {classes}); set quantization: none, or name another backbone"
        )


def assert_quantized(model: Any, name: str) -> int:
    """Checks that all linear layers except the output head are quantized.

    Returns:
        the number of NF4 double-quantized layers.

    Raises:
        UserError: a layer is not quantized; the message has the number and the classes of such layers.
    """
    linear = _linear_layers(model)
    _refuse_skipped([module for module in linear if not _is_nf4(module)], linear, name)
    return len(linear)
