"""What NF4 needs so that it quantizes what it says: a patch for Falcon, one for bitsandbytes on a CPU, and the proof.

Knows modules, not names, files or tokenizers. Sources: QLoRA (arXiv 2305.14314); transformers 5.5 and later;
bitsandbytes 0.49 and later.
"""

import logging
from collections.abc import Iterator
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
    """Drops the one line in which bitsandbytes asks for the `kernels` package while it is imported.

    With that package installed it would ask a hub for a compiled kernel, which this project does not want.
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
    """NF4 storage with double quantization; the default of bitsandbytes is fp4 without it."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )


@contextmanager
def plain_falcon_linear() -> Iterator[None]:
    """Falcon is built from plain `nn.Linear` inside.

    transformers quantizes where `type(module) is nn.Linear`; Falcon's projections are a subclass with the same
    mathematics, so all of them would stay unquantized, with no more than a warning that names another library.
    """
    original = modeling_falcon.FalconLinear
    modeling_falcon.FalconLinear = nn.Linear
    try:
        yield
    finally:
        modeling_falcon.FalconLinear = original


def full_precision_on_cpu(model: nn.Module) -> None:
    """Keeps bitsandbytes from repacking weights on CPUs with AVX512-BF16.

    There the first forward in eval mode would pack the weights for a bf16 kernel without a gradient, for good: a
    training after a generation would lose the gradient through every quantized layer, and fp32 would not be fp32.
    """
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _is_nf4(module: nn.Module) -> bool:
    if not isinstance(module, bitsandbytes.nn.Linear4bit):
        return False
    weight: Any = module.weight
    return weight.quant_type == "nf4" and weight.compress_statistics and weight.quant_state is not None


def assert_quantized(model: Any, name: str) -> int:
    """Counts the quantized layers and proves that no linear layer but the output head was left out.

    Returns:
        the number of NF4 double-quantized layers.

    Raises:
        UserError: a layer is not quantized; says how many and of which class.
    """
    head = model.get_output_embeddings()
    linear = [m for m in model.modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]
    left = [module for module in linear if not _is_nf4(module)]
    if left or not linear:
        classes = ", ".join(sorted({type(module).__name__ for module in left})) or "none"
        raise UserError(
            f"{name}: {len(linear) - len(left)} of {len(linear)} linear layers were quantized to NF4 "
            f"(left out: {classes}); set quantization: none, or name another backbone"
        )
    return len(linear)
