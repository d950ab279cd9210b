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


def head_by_score(scores: Tensor, tie: Tensor, k: int) -> Tensor:
    """[B, min(k, N)] int64: the head of `order_by_score`, found without sorting the rest; arguments as there.

    Raises:
        ValueError: a score is NaN.
    """
    if k >= scores.shape[1]:
        return order_by_score(scores, tie)
    if not k:
        return torch.empty(len(scores), 0, dtype=torch.int64)
    values, found = scores.topk(k, dim=1)
    _refuse_nan(values)  # to topk a NaN is greater than any number
    last = values[:, -1:]
    cut = (scores == last).sum(dim=1) > (values == last).sum(dim=1)  # a tie goes on behind the head
    for row in torch.nonzero(cut).flatten().tolist():
        held = torch.nonzero(scores[row] >= last[row]).flatten()
        found[row] = held[order_by_score(scores[row, held][None], tie[held])[0, :k]]
    return found.gather(1, best_first(scores.gather(1, found), tie[found]))


def best_first(scores: Tensor, tie: Tensor) -> Tensor:
    """[B, T] int64 columns by descending score, equal scores by ascending tie; scores and tie [B, T] of each row."""
    by_tie = tie.argsort(dim=1)
    return by_tie.gather(1, scores.gather(1, by_tie).argsort(dim=1, descending=True, stable=True))


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


def with_pad_column(scores: torch.Tensor) -> torch.Tensor:
    """[B, N] by catalogue position -> [B, N + 1] by RecBole's internal id, the pad row last of all."""
    return torch.cat([torch.zeros_like(scores[:, :1]), scores], dim=1)
