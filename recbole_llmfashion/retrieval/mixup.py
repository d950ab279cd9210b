"""Two lists into one: the head of the ID list, then the title list; knows no embeddings.

Note: the nearest item to a valid ID in CORE's table is that item itself. At m = 1 the ID list thus gives exactly the
generated ID, and CORE decides something only through m > 1 and in the ablation that ranks by the ID list alone.
"""

import torch
from torch import Tensor


def mixup(
    id_order: Tensor,
    title_order: Tensor,
    has_id: Tensor,
    has_title: Tensor,
    fallback_order: Tensor,
    m: int,
    k: int,
    title_start: int,
) -> Tensor:
    """Mix the lists of each row (docs/method.md, stage 3); every item gets exactly one rank.

    ID[:m]; then title[s:k]; then title[:s]; then title[k:], s = title_start; each skips what is already there.
    A row without an ID takes the title list from its head, one without a title the ID list, one without both the
    fallback.

    Args:
        id_order, title_order, fallback_order: [B, N] int64, a permutation of item positions in each row, best first;
            a row that `has_id` or `has_title` masks
            may hold any order.
        has_id, has_title: [B] bool.
        m: items from the head of the ID list, >= 0.
        k: length of the short list within which the title list is read from `title_start`, >= 1.
        title_start: m (the paper's words) or 0 (the title list from its head).

    Returns:
        [B, N] int64.

    Raises:
        ValueError: m, k or title_start out of range.
    """
    if m < 0 or k < 1 or title_start not in (0, m):
        raise ValueError(f"mixup wants m >= 0, k >= 1, title_start m or 0; got {m=}, {k=}, {title_start=}")
    n = id_order.shape[1]
    rank = torch.arange(n, device=id_order.device)
    # an item's place in the concatenation: where its list is read, shifted so that the four parts do not overlap
    id_place = torch.where(rank < m, rank, 5 * n)
    title_place = torch.where(rank >= k, 4 * n + rank, torch.where(rank < title_start, 3 * n + rank, 2 * n + rank))
    place = torch.minimum(_by_item(id_order, id_place), _by_item(title_order, title_place))
    both = torch.argsort(place, dim=1)
    with_id = torch.where(has_title[:, None], both, id_order)
    without_id = torch.where(has_title[:, None], title_order, fallback_order)
    return torch.where(has_id[:, None], with_id, without_id)


def _by_item(order: Tensor, value_at_rank: Tensor) -> Tensor:
    """[B, N] by item position: the value that stands at the item's rank."""
    return torch.empty_like(order).scatter_(1, order, value_at_rank.expand(order.shape))
