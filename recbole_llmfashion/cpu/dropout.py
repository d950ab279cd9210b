"""Dropout on a CPU from 16 random bits per number, where PyTorch draws one number at a time.

    y = x * m / q,  m = [bits >= n],  q = 1 - n / 2^16,  n = p * 2^16, rounded

So the rate is p to 2^-17. PyTorch's own draw takes a seventh of a fine-tuning step of tiny-falcon, except on
processors for which it has Intel's generator. The bits come from PyTorch's generator: seeds and checkpoints hold as
before, and the numbers that are dropped are others, as with another seed. RecBole's models gain little: their time is
in the softmax over the catalogue.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

BITS = 16


def _dropped(p: float) -> int:
    """How many of the 2^16 values of a draw drop a number."""
    return round(p * 2**BITS)


def draws_bits(x: Tensor, p: float) -> bool:
    """Whether `keep_mask` takes this tensor and rate: a CPU's, and some numbers dropped, others kept."""
    return x.device.type == "cpu" and 0 < _dropped(p) < 2**BITS


def keep_mask(x: Tensor, p: float) -> tuple[Tensor, float]:
    """A mask of x's shape and dtype, 1 where a number is kept and 0 where it is dropped; the share q that is kept.

    Args:
        x: on a CPU.
        p: rate, such that `draws_bits`.
    """
    words = torch.empty(-(-x.numel() * BITS // 64), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[: x.numel()].view(x.shape)
    kept = torch.empty(x.shape, dtype=x.dtype)
    torch.ge(bits, _dropped(p) - 2 ** (BITS - 1), out=kept)
    return kept, 1 - _dropped(p) / 2**BITS


@contextmanager
def fast_dropout(on: bool = True) -> Iterator[None]:
    """Inside, dropout of this process, `nn.Dropout` too, draws bits for tensors on a CPU.

    Args:
        on: False changes nothing.
    """
    plain = F.dropout

    def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if inplace or not training or not draws_bits(input, p):
            return plain(input, p, training, inplace)
        kept, share = keep_mask(input, p)
        return input * kept.div_(share)

    if on:
        F.dropout = dropout
    try:
        yield
    finally:
        F.dropout = plain
