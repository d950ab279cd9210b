"""Falcon's forward and backward by faster equivalents, for right-padded rows without a cache.

- Attention mask: right-padded rows need none, because causal attention only looks back and padding follows all real
  tokens. Falcon in transformers always builds a mask, which keeps PyTorch from using its causal attention kernel.
- Slices: the backward of a slice first fills a whole tensor with zeros. Falcon takes queries, keys and values as
  slices, and each rotary embedding takes two more; `unbind` and a hand-written backward avoid this.
- One key for all heads (multi-query, as in Falcon-7B): transformers gives the kernel 71 queries and one key, which
  PyTorch's FlashAttention takes with `enable_gqa` only; without it all scores are written to memory. Queries and keys
  are rotated together in the layout of the fused projection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from transformers.models.falcon import modeling_falcon


def _is_rotary_falcon(model: Any) -> bool:
    config = model.config
    return config.model_type == "falcon" and not config.alibi and config._attn_implementation == "sdpa"


class _Rotate(torch.autograd.Function):
    """Rotary embedding: x * cos + (-x2, x1) * sin, where x1 and x2 are the halves of the last dimension of x.

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


class _RotateFused(torch.autograd.Function):
    """Rotary embedding of the fused projection of a multi-query layer: every head but the last, which is the value.

    Shapes: x [B, T, heads + 2, d]; cos, sin [1, T, heads + 2, d], 1 and 0 at the value.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(cos, sin)
        result, half = x * cos, x.shape[-1] // 2
        result[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
        result[..., half:].addcmul_(x[..., :half], sin[..., half:])
        return tuple(result.split([x.shape[2] - 2, 1, 1], 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        grad = torch.cat(grads, 2)
        result, half = grad * cos, grad.shape[-1] // 2
        result[..., :half].addcmul_(grad[..., half:], sin[..., half:])
        result[..., half:].addcmul_(grad[..., :half], sin[..., :half], value=-1)
        return result, None, None


def _tables(layer: Any, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin [1, T, d] for the heads of a fused projection; kept beside `cos`, which all layers share."""
    made: tuple[Tensor, Tensor] | None = getattr(cos, "_of_heads", None)
    if made is None:
        shape = (1, cos.shape[1], layer.num_heads + 2, cos.shape[2])
        made = (cos[:, :, None].expand(shape).contiguous(), sin[:, :, None].expand(shape).contiguous())
        made[0][:, :, -1], made[1][:, :, -1] = 1, 0
        cos._of_heads = made  # type: ignore[attr-defined]
    return made


_forward, _plain_rotary = modeling_falcon.FalconAttention.forward, modeling_falcon.apply_rotary_pos_emb
_causal_mask = modeling_falcon.create_causal_mask


def _attend(layer: Any, hidden_states: Tensor, *args: Any, **given: Any) -> tuple[Tensor, None]:
    """FalconAttention.forward of a multi-query layer without mask and cache, [B, T, width]; others as they are."""
    if not layer.multi_query or layer.new_decoder_architecture:
        return _forward(layer, hidden_states, *args, **given)
    rows, length, _ = hidden_states.shape
    fused = layer.query_key_value(hidden_states).view(rows, length, layer.num_heads + 2, layer.head_dim)
    parts = _RotateFused.apply(fused, *_tables(layer, *given["position_embeddings"]))
    return _mix(layer, *(part.transpose(1, 2) for part in parts)), None


def _attend_traced(layer: Any, hidden_states: Tensor, *args: Any, **given: Any) -> tuple[Tensor, None]:
    """`_attend` in plain operations, which torch.compile fuses."""
    if not layer.multi_query or layer.new_decoder_architecture:
        return _forward(layer, hidden_states, *args, **given)
    rows, length, _ = hidden_states.shape
    fused = layer.query_key_value(hidden_states).view(rows, length, layer.num_heads + 2, layer.head_dim)
    query, key, value = (part.transpose(1, 2) for part in fused.split([layer.num_heads, 1, 1], 2))
    query, key = _plain_rotary(query, key, *given["position_embeddings"])
    return _mix(layer, query, key, value), None


def _mix(layer: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention of queries [B, heads, T, d] on one key and value for all heads, [B, T, width]."""
    rows, _, length, _ = query.shape
    grouped = query.device.type != "cpu" and query.dtype != torch.float32  # only FlashAttention knows groups
    if not grouped:
        key, value = (part.expand(-1, layer.num_heads, -1, -1) for part in (key, value))
    attend = torch.nn.functional.scaled_dot_product_attention
    mixed = attend(query, key, value, is_causal=length > 1, enable_gqa=grouped)
    projected: Tensor = layer.dense(mixed.transpose(1, 2).reshape(rows, length, -1))
    return projected


class _Patch:
    """Falcon's functions in transformers, replaced from the first user's entry to the last one's exit.

    Users may overlap in threads: what one found at its entry may be another's replacement, so the originals are those
    of the import.
    """

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0

    def enter(self, traced: bool) -> None:
        """Replaces them, in plain operations with `traced`, unless another user has."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                modeling_falcon.create_causal_mask = lambda *_args, **_kwargs: None
                modeling_falcon.FalconAttention.forward = _attend_traced if traced else _attend
                if not traced:
                    modeling_falcon.apply_rotary_pos_emb = _rotary
                    modeling_falcon.FalconAttention._split_heads = _unbind_heads

    def leave(self) -> None:
        """Restores them if no other user is left."""
        with self._lock:
            self._users -= 1
            if not self._users:
                modeling_falcon.create_causal_mask, modeling_falcon.apply_rotary_pos_emb = _causal_mask, _plain_rotary
                modeling_falcon.FalconAttention._split_heads = _split_heads
                modeling_falcon.FalconAttention.forward = _forward


_patch = _Patch()


@contextmanager
def fused_falcon(model: Any, traced: bool = False) -> Iterator[bool]:
    """Runs Falcon's attention without a mask and with fewer copies; yields whether the model is supported.

    With `traced` it is in plain operations for torch.compile, without the hand-written backwards.

    Valid for right-padded batches only. The outputs at padded positions differ from those of masked attention and must
    not be used.
    """
    if not _is_rotary_falcon(model):
        yield False
        return
    _patch.enter(traced)
    try:
        yield True
    finally:
        _patch.leave()
