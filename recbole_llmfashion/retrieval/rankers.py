"""The rankers that turn a response into ranked lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.retrieval.item_order import ConstantOrder, ItemOrder
from recbole_llmfashion.retrieval.popularity_list import popular_order

Ranker = Callable[[Tensor], ItemOrder]  # of item positions


FUSED_DEPTH = 100  # of each


@dataclass
class Rankers:
    """What the stages made.

    Args:
        answer: prompts (int32 arrays) to responses.
        position_of: item token as it stands in a response -> catalogue position.
        id_list, title_list: rank the catalogue for an ID, for a title.
        id_depth: how many heads of the ID list mean something: one, where only the generated ID itself is known.
        session_list: ranks the catalogue for what a customer did, [B, S] positions, -1 for none; None where no table
            knows the items.
        clip_list: as title_list by the CLIP tower, where `ranking` asks for it.
        popularity: [N] training actions by catalogue position, the last fallback; zeros leave the fixed order.
    """

    answer: Callable[[Sequence[np.ndarray]], list[Response]]
    position_of: dict[str, int]
    id_list: Ranker
    title_list: Callable[[Sequence[str]], ItemOrder]
    popularity: np.ndarray
    clip_list: Callable[[Sequence[str]], ItemOrder] | None = None
    session_list: Ranker | None = None
    id_depth: int = FUSED_DEPTH
    _popular: ConstantOrder | None = field(default=None, repr=False)

    def popular(self, tie: Tensor) -> ConstantOrder:
        """What is popular first, equal counts by tie rank [N]; found once."""
        if self._popular is None:
            self._popular = popular_order(self.popularity, tie)
        return self._popular
