"""The paper's mixup of two rankings: the first items of the ID list, then the title list.

Note: the nearest item to an item in CORE's embeddings is the item itself. At m = 1 the ID list therefore contributes
the generated item only, and CORE has an effect only with m > 1 or in the ablation that ranks by the ID list alone.
"""

import torch
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder, PerRowOrder


def mixup(
    by_id: ItemOrder,
    by_title: ItemOrder,
    has_id: Tensor,
    has_title: Tensor,
    fallback: ItemOrder,
    m: int,
    k: int,
    title_start: int,
) -> ItemOrder:
    """Mix the ID list and the title list of each row (docs/method.md, stage 3).

        id[:m] + title[s:k] + title[:s] + title[k:], s = title_start, without repetitions

    A row without an ID gets the title list, a row without a title the ID list, a row without both the fallback.

    Args:
        by_id, by_title, fallback: orders [B, N]; rows that `has_id` or `has_title` exclude may have any order.
        has_id, has_title: [B] bool.
        m: number of items from the ID list, >= 0.
        k: length of the short list, >= 1.
        title_start: first position taken from the title list: m or 0, readings of the paper (docs/method.md, stage 3).

    Returns:
        an order [B, N].

    Raises:
        ValueError: m, k or title_start is out of range.

    >>> from recbole_llmfashion.retrieval.item_order import ConstantOrder
    >>> by_id = ConstantOrder(torch.tensor([0, 5, 4, 3, 2, 1]))
    >>> by_title = ConstantOrder(torch.tensor([1, 2, 0, 3, 4, 5]))
    >>> has = torch.tensor([True])
    >>> mixup(by_id, by_title, has, has, fallback=by_id, m=1, k=5, title_start=1).top(6).tolist()
    [[0, 2, 3, 4, 1, 5]]
    """
    if m < 0 or k < 1 or title_start not in (0, m):
        raise ValueError(f"mixup: expected m >= 0, k >= 1, title_start m or 0, found {m=}, {k=}, {title_start=}")
    both = has_id & has_title
    titles = by_title.rows(both)
    short = titles.top(k)
    first = torch.cat([by_id.rows(both).top(m), short[:, title_start:], short[:, :title_start]], dim=1)
    return PerRowOrder(
        [
            (both, HeadThenRest(first, titles)),
            (has_id & ~has_title, by_id.rows(has_id & ~has_title)),
            (~has_id & has_title, by_title.rows(~has_id & has_title)),
            (~has_id & ~has_title, fallback.rows(~has_id & ~has_title)),
        ]
    )
