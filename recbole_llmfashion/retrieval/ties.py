"""Scores, orders and ranks of a whole catalogue, equal scores broken by a fixed order; knows no model.

Ties broken by position inflate or deflate recall (a catalogue is often ordered by popularity or time, or a target put
first); a hash of the item's token favours nobody and does not move when the catalogue is reordered.
"""

import torch
from torch import Tensor

_FLOAT32_INTEGERS = 2**24


def order_by_score(scores: Tensor, tie: Tensor) -> Tensor:
    """Item positions by descending score, equal scores by ascending tie rank.

    Args:
        scores: [B, N] float; infinities are legal.
        tie: [N] int64 permutation, see `tie_rank`.

    Returns:
        [B, N] int64, best first.

    Raises:
        ValueError: a score is NaN.
    """
    _refuse_nan(scores)
    by_tie = torch.argsort(tie)
    return by_tie[torch.argsort(scores[:, by_tie], dim=1, descending=True, stable=True)]


def scores_from_order(order: Tensor) -> Tensor:
    """Scores that any evaluator ranks in this very order: N - rank, rank from 0.

    Args:
        order: [B, N] int64, a permutation of the positions in each row, best first.

    Returns:
        [B, N] float32 by item position, finite and distinct, from N (best) down to 1.

    Raises:
        ValueError: N exceeds 2**24, beyond which float32 merges neighbouring integers.
    """
    n = order.shape[1]
    if n > _FLOAT32_INTEGERS:
        raise ValueError(f"{n} items: float32 scores stay distinct up to {_FLOAT32_INTEGERS} only")
    values = torch.arange(n, 0, -1, dtype=torch.float32, device=order.device)
    return torch.empty(order.shape, dtype=torch.float32, device=order.device).scatter_(
        1, order, values.expand(order.shape)
    )


def rank_of(scores: Tensor, target: Tensor, tie: Tensor) -> Tensor:
    """The target's rank among all columns, 1 is best, equal scores by ascending tie rank.

    Args:
        scores: [B, N] float; infinities are legal.
        target: [B] int64 columns.
        tie: [N] int64 permutation, see `tie_rank`.

    Returns:
        [B] int64.

    Raises:
        ValueError: a score is NaN.
    """
    _refuse_nan(scores)
    own = scores.gather(1, target[:, None])
    ahead = (scores > own) | ((scores == own) & (tie < tie[target][:, None]))
    return ahead.sum(dim=1) + 1


def _refuse_nan(scores: Tensor) -> None:
    if torch.isnan(scores).any():
        raise ValueError("NaN among the scores: no order exists")
