"""LoRA in one pass in the model's compute type, with fp32 masters of its matrices.

    y = x W^T + scale * dropout(x) A^T B^T

peft keeps A and B in fp32 and casts: the input to fp32, the product back, with a pass each for dropout, scale and sum.
In bf16 and fp16 that is most of the memory traffic of a training step, and most kernels of a generated token. Here A
and B are copied into the compute type once a step for all layers together, the low-rank part is added to the output of
the frozen layer in place, and one backward gives the gradient of both parts. The optimizer still updates the fp32
matrices: `collect` adds the gradients of the copies to theirs. Where dropout is 0 no mask exists; elsewhere it is one
byte an element, or of the compute type where dropout draws bits on a CPU. Without gradients the frozen layer runs as it
is, with what bitsandbytes has for few rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from transformers.models.falcon.modeling_falcon import FalconLinear

from recbole_llmfashion.cpu.dropout import draws_bits, keep_mask

_scales: "WeakKeyDictionary[nn.Module, Any]" = WeakKeyDictionary()


def _weight(layer: Any) -> Tensor:
    """The weight [out, in] of a frozen layer in the compute type, de-quantized if it is NF4.

    The scales of an NF4 layer are themselves quantized. They are kept here in fp32, half a bit a weight, because
    bitsandbytes spends two more kernels on them in each product.
    """
    state = getattr(layer.weight, "quant_state", None)
    if state is None:
        return layer.weight
    from bitsandbytes.functional import QuantState, dequantize_4bit, dequantize_blockwise

    if state.nested and layer not in _scales:
        scales = dequantize_blockwise(state.absmax, state.state2) + state.offset
        _scales[layer] = QuantState(
            absmax=scales.float(), shape=state.shape, code=state.code, blocksize=state.blocksize,
            quant_type=state.quant_type, dtype=state.dtype,
        )  # fmt: skip
    return dequantize_4bit(layer.weight.data, _scales.get(layer, state))


class _LoraLinear(torch.autograd.Function):
    """x W^T + bias + scale * dropout(x) A^T B^T, where W is frozen.

    Shapes: x [..., in], a [r, in], b [out, r].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, base: Any, rate: float, scale: float, bits: bool) -> Tensor:
        dropped, kept, ctx.share = _dropout(x.flatten(0, -2), rate, bits)
        low = dropped @ a.T
        ctx.save_for_backward(dropped, low, a, b, kept)
        ctx.base, ctx.scale, ctx.shape = base, scale, x.shape
        y = F.linear(x, _weight(base))  # not a view: Falcon adds the attention to the output of its MLP in place
        y.flatten(0, -2).addmm_(low, b.T, alpha=scale)
        return y if base.bias is None else y.add_(base.bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        dropped, low, a, b, kept = ctx.saved_tensors
        grad = grad.flatten(0, -2)
        grad_low, grad_b = grad @ b, grad.T @ low
        if ctx.scale != 1:
            grad_low, grad_b = grad_low * ctx.scale, grad_b * ctx.scale
        grad_a, grad_x = grad_low.T @ dropped, None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ _weight(ctx.base)
            if kept is None:
                grad_x.addmm_(grad_low, a)
            else:
                grad_x.addcmul_(grad_low @ a, kept, value=1 / ctx.share)
            grad_x = grad_x.view(ctx.shape)
        return grad_x, grad_a, grad_b, None, None, None, None


def _dropout(x: Tensor, rate: float, bits: bool) -> tuple[Tensor, Tensor | None, float]:
    """x after dropout; a mask of what is kept, None if that is all; the share that is kept."""
    if not rate:
        return x, None, 1.0
    if bits and draws_bits(x, rate):
        kept, share = keep_mask(x, rate)
        return (x * kept).div_(share), kept, share
    dropped, kept = torch.native_dropout(x, rate, True)
    return dropped, kept, 1 - rate


def adapter_of(layer: Any) -> str | None:
    """The adapter's name if the layer has one plain LoRA adapter on a frozen linear layer; otherwise None."""
    from bitsandbytes.nn import Linear4bit

    names: Any = getattr(layer, "active_adapters", [])
    base: Any = getattr(layer, "base_layer", None)
    if type(base) not in (nn.Linear, FalconLinear, Linear4bit) or base.weight.requires_grad:
        return None
    if len(names) != 1 or names[0] not in getattr(layer, "lora_A", {}) or names[0] in layer.lora_variant:
        return None
    plain = isinstance(layer.lora_dropout[names[0]], nn.Dropout | nn.Identity) and not layer.lora_bias[names[0]]
    return names[0] if plain and not layer.merged and not layer.disable_adapters else None


class LoraCopies:
    """The LoRA matrices of a model in its compute type, for the forwards and backwards of one step.

    Args:
        model: a peft model.

    Attributes:
        layers: number of LoRA layers that use them; 0 for a model in fp32 on a CPU, where `fused_lora` is faster.
    """

    def __init__(self, model: Any) -> None:
        plain_cpu = model.dtype == torch.float32 and next(model.parameters()).device.type == "cpu"
        found = [] if plain_cpu else [(layer, adapter_of(layer)) for layer in model.modules()]
        self._places = [(layer, name) for layer, name in found if name is not None]
        matrices = [(layer.lora_A[name].weight, layer.lora_B[name].weight) for layer, name in self._places]
        self._masters: list[Tensor] = [matrix for pair in matrices for matrix in pair]
        self._copies = [torch.empty_like(master, dtype=model.dtype) for master in self._masters]
        if self._copies:
            with torch.no_grad():
                torch._foreach_copy_(self._copies, self._masters)
        for copied, master in zip(self._copies, self._masters, strict=True):
            copied.requires_grad_(master.requires_grad)

    @property
    def layers(self) -> int:
        """Number of LoRA layers that use the copies."""
        return len(self._places)

    def attach(self, bits: bool = False) -> None:
        """Replaces the forwards of the layers.

        Args:
            bits: whether dropout draws bits on a CPU, see cpu/dropout.py.
        """
        for (layer, name), a, b in zip(self._places, self._copies[::2], self._copies[1::2], strict=True):
            layer.forward = partial(_forward, layer, name, a, b, bits)

    def detach(self) -> None:
        """Restores peft's forwards."""
        for layer, _ in self._places:
            vars(layer).pop("forward", None)

    @torch.no_grad()
    def collect(self) -> None:
        """Adds the gradients of the copies to those of the fp32 matrices; called after each backward."""
        pairs = [(master, copied.grad) for master, copied in zip(self._masters, self._copies, strict=True)]
        given = [(master, gradient) for master, gradient in pairs if gradient is not None]
        if not given:
            return
        wide = [torch.empty_like(master) for master, _ in given]
        torch._foreach_copy_(wide, [gradient for _, gradient in given])
        if given[0][0].grad is None:
            for (master, _), gradient in zip(given, wide, strict=True):
                master.grad = gradient
        else:
            sums: Any = [master.grad for master, _ in given]
            torch._foreach_add_(sums, wide)
        for copied in self._copies:
            copied.grad = None


def _forward(layer: Any, name: str, a: Tensor, b: Tensor, bits: bool, x: Tensor) -> Tensor:
    """The output of a LoRA layer, [..., in] to [..., out]."""
    if not torch.is_grad_enabled():
        y: Tensor = layer.base_layer(x)
        y.flatten(0, -2).addmm_(x.flatten(0, -2) @ a.T, b.T, alpha=layer.scaling[name])
        return y
    dropout = layer.lora_dropout[name]
    rate = dropout.p if layer.training and isinstance(dropout, nn.Dropout) else 0.0
    return _LoraLinear.apply(x, a, b, layer.base_layer, rate, layer.scaling[name], bits)


@contextmanager
def half_lora(model: Any, bits: bool = False) -> Iterator[LoraCopies]:
    """Replaces the forwards of plain LoRA layers by the one above; `collect` must follow each backward.

    Args:
        bits: whether dropout draws bits on a CPU, see cpu/dropout.py.
    """
    copies = LoraCopies(model)
    copies.attach(bits)
    try:
        yield copies
    finally:
        copies.detach()
