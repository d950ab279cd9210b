"""Sorting and ranking by scores, with ties broken by the rank of the item's hashed token.

Breaking ties by position biases recall, because a catalogue is often sorted by popularity or time. A hash of the item's
token has no such bias and does not change when the catalogue is reordered.
"""

import torch
from torch import Tensor

_FLOAT32_INTEGERS = 2**24


def order_by_score(scores: Tensor, tie: Tensor) -> Tensor:
    """Item positions by descending score, equal scores by ascending tie rank.

    Args:
        scores: [B, N] float; infinities are allowed.
        tie: [N] int64 permutation, see `data.tie_breaking.tie_rank`.

    Returns:
        [B, N] int64, best first.

    Raises:
        ValueError: a score is NaN.

    >>> order_by_score(torch.tensor([[0.5, 0.9, 0.5]]), torch.tensor([2, 1, 0])).tolist()
    [[1, 2, 0]]
    """
    _refuse_nan(scores)
    by_tie = torch.argsort(tie)
    return by_tie[torch.argsort(scores[:, by_tie], dim=1, descending=True, stable=True)]


def head_by_score(scores: Tensor, tie: Tensor, k: int) -> Tensor:
    """First k items of `order_by_score` without sorting the others.

    Args:
        scores, tie: as in `order_by_score`.
        k: number of items.

    Returns:
        [B, min(k, N)] int64.

    Raises:
        ValueError: a score is NaN.
    """
    if k >= scores.shape[1]:
        return order_by_score(scores, tie)
    if not k:
        return torch.empty(len(scores), 0, dtype=torch.int64)
    values, head = scores.topk(k + 1, dim=1)
    _refuse_nan(values)  # topk treats NaN as greater than any number
    head, last = head[:, :k], values[:, k - 1]
    cut = values[:, k] == last  # rows with a tie across the end of the head
    for row in torch.nonzero(cut).flatten().tolist():
        candidates = torch.nonzero(scores[row] >= last[row]).flatten()
        head[row] = candidates[order_by_score(scores[row, candidates][None], tie[candidates])[0, :k]]
    return head.gather(1, best_first(scores.gather(1, head), tie[head]))


def best_first(scores: Tensor, tie: Tensor) -> Tensor:
    """Columns by descending score, equal scores by ascending tie rank.

    Args:
        scores: [B, T] float.
        tie: [B, T] int64, tie rank of each column's item.

    Returns:
        [B, T] int64.
    """
    by_tie = tie.argsort(dim=1)
    return by_tie.gather(1, scores.gather(1, by_tie).argsort(dim=1, descending=True, stable=True))


def scores_from_order(order: Tensor) -> Tensor:
    """Scores that reproduce an order: N - rank, rank from 0.

    Args:
        order: [B, N] int64, a permutation of the positions in each row, best first.

    Returns:
        [B, N] float32 by item position, finite and distinct, from N (best) down to 1.

    Raises:
        ValueError: N exceeds 2**24, beyond which float32 does not represent every integer.

    >>> scores_from_order(torch.tensor([[2, 0, 1]])).tolist()
    [[2.0, 1.0, 3.0]]
    """
    n = order.shape[1]
    if n > _FLOAT32_INTEGERS:
        raise ValueError(f"expected at most {_FLOAT32_INTEGERS} items for distinct float32 scores, found {n}")
    values = torch.arange(n, 0, -1, dtype=torch.float32, device=order.device)
    return torch.empty(order.shape, dtype=torch.float32, device=order.device).scatter_(
        1, order, values.expand(order.shape)
    )


def rank_of(scores: Tensor, target: Tensor, tie: Tensor) -> Tensor:
    """Rank of the target among all columns, from 1, equal scores by ascending tie rank.

    Args:
        scores: [B, N] float; infinities are allowed.
        target: [B] int64 columns.
        tie: [N] int64 permutation, see `data.tie_breaking.tie_rank`.

    Returns:
        [B] int64.

    Raises:
        ValueError: a score is NaN.

    >>> rank_of(torch.tensor([[0.5, 0.9, 0.5]]), torch.tensor([0]), torch.tensor([2, 1, 0])).tolist()
    [3]
    """
    _refuse_nan(scores)
    own = scores.gather(1, target[:, None])
    is_before = (scores > own) | ((scores == own) & (tie < tie[target][:, None]))
    return is_before.sum(dim=1) + 1


def _refuse_nan(scores: Tensor) -> None:
    if torch.isnan(scores).any():
        raise ValueError("scores: expected numbers, found NaN")


def with_pad_column(scores: torch.Tensor) -> torch.Tensor:
    """Scores by RecBole's internal item id: a column of zeros for the pad item is put before [B, N] positive scores."""
    return torch.cat([torch.zeros_like(scores[:, :1]), scores], dim=1)
