"""Two lists into one: the head of the ID list, then the title list; knows no embeddings.

Note: the nearest item to a valid ID in CORE's table is that item itself. At m = 1 the ID list thus gives exactly the
generated ID, and CORE decides something only through m > 1 and in the ablation that ranks by the ID list alone.
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
    """Mix the lists of each row (docs/method.md, stage 3); every item gets exactly one rank.

    ID[:m]; then title[s:k]; then title[:s]; then title[k:], s = title_start; each skips what is already there.
    A row without an ID takes the title list from its head, one without a title the ID list, one without both the
    fallback.

    Args:
        by_id, by_title, fallback: [B, N]; a row that `has_id` or `has_title` masks may hold any order.
        has_id, has_title: [B] bool.
        m: items from the head of the ID list, >= 0.
        k: length of the short list within which the title list is read from `title_start`, >= 1.
        title_start: m (the paper's words) or 0 (the title list from its head).

    Raises:
        ValueError: m, k or title_start out of range.
    """
    if m < 0 or k < 1 or title_start not in (0, m):
        raise ValueError(f"mixup wants m >= 0, k >= 1, title_start m or 0; got {m=}, {k=}, {title_start=}")
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
