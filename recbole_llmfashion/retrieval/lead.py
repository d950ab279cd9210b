"""Some items first, all others in the order they had; knows no scores and no models."""

import torch
from torch import Tensor


def lead(order: Tensor, first: Tensor) -> Tensor:
    """Orders in which some items stand first, in the order given.

    Args:
        order: [B, N] int64, a permutation of the item positions in each row, best first.
        first: [B, K] int64 positions, best first, -1 for none; of an item that stands there twice the first place
            counts.

    Returns:
        [B, N] int64.
    """
    n, k = order.shape[1], first.shape[1]
    at = torch.where(first < 0, n, first)  # one column more takes what is -1
    columns = torch.arange(k).expand(first.shape)
    earliest = torch.full((len(order), n + 1), k).scatter_reduce_(1, at, columns, "amin")
    leads = (first >= 0) & (earliest.gather(1, at) == columns)
    leading = earliest[:, :n].gather(1, order) < k
    behind = leads.sum(dim=1, keepdim=True) + (~leading).cumsum(dim=1) - 1
    result = torch.empty_like(earliest).scatter_(1, torch.where(leading, n, behind), order)
    return result.scatter_(1, torch.where(leads, leads.cumsum(dim=1) - 1, n), first)[:, :n]
