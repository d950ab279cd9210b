"""LoRA in one pass on a CPU in fp32, for training and without gradients.

    y = x W^T + scale * dropout(x) A^T B^T

The low-rank part is added to the layer's output in place by one `addmm_`, and the scales of LoRA and of dropout are one
factor. peft makes a separate pass over inputs or outputs for each. Random numbers are drawn as peft draws them, or as
bits (cpu/dropout.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recbole_llmfashion.cpu.dropout import draws_bits, keep_mask
from recbole_llmfashion.llm.layers.half_lora import LoraCopies, adapter_of, half_lora


class _AddLora(torch.autograd.Function):
    """y + factor * (x * kept) A^T B^T, in place in y.

    Shapes: y [M, out], x [M, in], A [r, in], B [out, r], kept [M, in] of 0 and 1 (the dropout mask), or None.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, a: Tensor, b: Tensor, kept: Tensor | None, factor: float) -> Tensor:
        dropped = x if kept is None else x * kept
        low = dropped @ a.T
        ctx.save_for_backward(dropped, low, a, b, kept)
        ctx.factor = factor
        ctx.mark_dirty(y)
        return y.addmm_(low, b.T, alpha=factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        dropped, low, a, b, kept = ctx.saved_tensors
        grad_low = (grad @ b).mul_(ctx.factor)
        grad_b = (grad.T @ low).mul_(ctx.factor)
        grad_a = grad_low.T @ dropped
        grad_x = None
        if ctx.needs_input_grad[1]:
            grad_x = grad_low @ a
            if kept is not None:
                grad_x.mul_(kept)
        return grad, grad_x, grad_a, grad_b, None, None


def _forward(layer: Any, name: str, bits: bool, x: Tensor) -> Tensor:
    """The output of a LoRA layer, [..., in] to [..., out]."""
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    rate = layer.lora_dropout[name].p if layer.training and isinstance(layer.lora_dropout[name], nn.Dropout) else 0.0
    y = layer.base_layer(x)
    rows, kept, share = x.flatten(0, -2), None, 1 - rate
    if bits and draws_bits(x, rate):
        kept, share = keep_mask(rows, rate)
    elif rate:
        kept = torch.empty_like(rows).bernoulli_(share)
    return _AddLora.apply(y.flatten(0, -2), rows, a, b, kept, layer.scaling[name] / share).view(y.shape)


def _fusible_adapter(layer: Any) -> str | None:
    """The adapter's name if the layer has one plain LoRA adapter, on a CPU in fp32; otherwise None.

    Then the random numbers are peft's, and layer and adapter have the same dtype in a model in fp32. In bf16 and fp16
    they have not: peft keeps the adapter in fp32.
    """
    name = adapter_of(layer)
    if name is None:
        return None
    weight = layer.lora_A[name].weight
    return name if weight.dtype == torch.float32 and weight.device.type == "cpu" else None


@contextmanager
def fused_lora(model: nn.Module, bits: bool = False) -> Iterator[int]:
    """Replaces the forward of plain linear LoRA layers by the fused one; yields the number of replaced layers.

    A model in bf16 or fp16 is left as it is.

    Args:
        bits: whether dropout draws bits, see cpu/dropout.py.
    """
    patched: list[Any] = []
    for layer in model.modules() if model.dtype == torch.float32 else ():
        name = _fusible_adapter(layer)
        if name is not None:
            layer.forward = partial(_forward, layer, name, bits)
            patched.append(layer)
    try:
        yield len(patched)
    finally:
        for layer in patched:
            vars(layer).pop("forward", None)


@contextmanager
def fast_lora(model: Any, bits: bool = False) -> Iterator[LoraCopies]:
    """The faster LoRA layers for the model's type: `fused_lora` on a CPU in fp32, else `half_lora`.

    Args:
        model: a peft model; any other is left as it is.
        bits: whether dropout draws bits on a CPU, see cpu/dropout.py.
    """
    with fused_lora(model, bits), half_lora(model, bits) as copies:
        yield copies
