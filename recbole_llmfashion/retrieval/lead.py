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
    place = torch.empty_like(order).scatter_(1, order, torch.arange(k, n + k).expand(order.shape))
    # one column more takes what is -1; from the last to the first, so that the first place of an item stands
    place = torch.cat([place, torch.zeros_like(place[:, :1])], dim=1)
    for column in range(k - 1, -1, -1):
        at = torch.where(first[:, column] < 0, n, first[:, column])
        place.scatter_(1, at[:, None], column)
    return torch.argsort(place[:, :n], dim=1, stable=True)
