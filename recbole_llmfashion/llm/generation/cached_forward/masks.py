"""Attention masks that name what each token sees, for models that take explicit positions."""

import torch
from torch import Tensor


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where `seen`, else the most negative number of the type; sdpa and eager attention add this mask."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)


def causal(mask: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """The additive mask [B, 1, steps, T] of the last `steps` tokens of rows, which `mask` int64 [B, T] gives."""
    seen = mask[:, None, None].bool()
    if steps > 1:
        length = mask.shape[1]
        seen = seen & torch.ones(steps, length, dtype=torch.bool, device=mask.device).tril(length - steps)
    return additive(seen, dtype)
