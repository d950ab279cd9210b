"""A training forward and backward that do less for the same numbers, where they can: patches that are on for a while.

- LoRA's product is added to the layer's output within the product itself, and the scales of LoRA and of dropout are one
  factor of it, where peft passes over inputs and outputs again for each. Random numbers are drawn as peft draws them.
- Right-padded rows need no mask: what a token may see ends at the token, and padding lies behind all tokens that count.
  Falcon in transformers builds the mask always, and with one PyTorch's causal attention is never taken.
- The backward through a slice fills a whole tensor with zeros first. Falcon takes queries, keys and values as slices,
  and each rotation of positions takes two more; one unbind and one written backward do without.

Knows layers, not losses or data.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.models.falcon import modeling_falcon


class _AddLora(torch.autograd.Function):
    """y + factor * (x * kept) A^T B^T, in the memory of y.

    Shapes: y [M, out], x [M, in], A [r, in], B [out, r], kept [M, in] of 0 and 1, or None.
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


def _forward(layer: Any, name: str, x: Tensor) -> Tensor:
    """A LoRA layer's output, [..., in] to [..., out]."""
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    share = layer.lora_dropout[name].p if layer.training and isinstance(layer.lora_dropout[name], nn.Dropout) else 0.0
    y = layer.base_layer(x)
    kept = torch.empty_like(x).bernoulli_(1 - share).flatten(0, -2) if share else None
    factor = layer.scaling[name] / (1 - share)
    return _AddLora.apply(y.flatten(0, -2), x.flatten(0, -2), a, b, kept, factor).view(y.shape)


def _plain(layer: Any) -> str | None:
    """The adapter's name where the layer is LoRA and nothing more, on a CPU in fp32; None elsewhere.

    Only there do layer and adapter share a type, and are the random numbers the same.
    """
    names = getattr(layer, "active_adapters", [])
    if len(names) != 1 or names[0] not in getattr(layer, "lora_A", {}) or names[0] in layer.lora_variant:
        return None
    weight = layer.lora_A[names[0]].weight
    drops = isinstance(layer.lora_dropout[names[0]], nn.Dropout | nn.Identity) and not layer.lora_bias[names[0]]
    fits = weight.dtype == torch.float32 and weight.device.type == "cpu" and drops
    return names[0] if fits and not layer.merged and not layer.disable_adapters else None


@contextmanager
def lean_lora(model: nn.Module) -> Iterator[int]:
    """Linear LoRA layers add their product in place; yields how many. Others stay peft's."""
    from peft.tuners.lora import Linear, Linear4bit

    patched: list[Any] = []
    for layer in model.modules():
        name = _plain(layer) if isinstance(layer, Linear | Linear4bit) else None
        if name is not None:
            layer.forward = lambda x, layer=layer, name=name: _forward(layer, name, x)
            patched.append(layer)
    try:
        yield len(patched)
    finally:
        for layer in patched:
            del layer.forward


def _causal(model: Any) -> bool:
    config = model.config
    return config.model_type == "falcon" and not config.alibi and config._attn_implementation == "sdpa"


class _Rotate(torch.autograd.Function):
    """x * cos + (-x2, x1) * sin, where x1 and x2 are the halves of the last dimension (rotary positions).

    Shapes: x [B, heads, T, d]; cos, sin [1 or B, 1, T, d].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        half = x.shape[-1] // 2
        result = x * cos
        result[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
        result[..., half:].addcmul_(x[..., :half], sin[..., half:])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        half = grad.shape[-1] // 2
        result = grad * cos
        result[..., :half].addcmul_(grad[..., half:], sin[..., half:])
        result[..., half:].addcmul_(grad[..., :half], sin[..., :half], value=-1)
        return result, None, None


def _rotary(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    return _Rotate.apply(q, cos, sin), _Rotate.apply(k, cos, sin)


_split_heads = modeling_falcon.FalconAttention._split_heads


def _unbind_heads(layer: Any, fused: Tensor) -> tuple[Tensor, ...]:
    if layer.new_decoder_architecture or layer.multi_query:
        return _split_heads(layer, fused)
    return fused.view(*fused.shape[:2], layer.num_heads, 3, layer.head_dim).unbind(-2)


@contextmanager
def lean_falcon(model: Any) -> Iterator[bool]:
    """Falcon's attention without a mask and with fewer copies, for right-padded rows alone; yields whether it is on.

    What it gives at padding is not what a masked one gives, and nobody may read it.
    """
    if not _causal(model):
        yield False
        return
    mask, rotary = modeling_falcon.create_causal_mask, modeling_falcon.apply_rotary_pos_emb
    modeling_falcon.create_causal_mask = lambda *_args, **_kwargs: None
    modeling_falcon.apply_rotary_pos_emb = _rotary
    modeling_falcon.FalconAttention._split_heads = _unbind_heads
    try:
        yield True
    finally:
        modeling_falcon.create_causal_mask, modeling_falcon.apply_rotary_pos_emb = mask, rotary
        modeling_falcon.FalconAttention._split_heads = _split_heads
