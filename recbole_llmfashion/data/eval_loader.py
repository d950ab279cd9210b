"""RecBole's full-sort loader with the one switch over the history, `mask_history`.

RecBole masks the history of general recommenders and never that of sequential ones, and refuses its own key for it
(`repeatable: False`). Where `mask_history` is True, the items of a row's own timeline, all of it and not the truncated
sequence that a baseline sees, get no place in any list. `eval_memory_mb` bounds how many users are scored at once. The
loader knows no model.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.interaction import Interaction
from recbole.evaluator.register import Register

from recbole_llmfashion.data.dataset import HISTORY_LENGTH, LLMFashionRecDataset
from recbole_llmfashion.data.timeline import SEARCH
from recbole_llmfashion.errors import UserError

MEGABYTE = 2**20
WHOLE_BYTES = 120  # of a user and an item where RecBole's collection sorts everything for other metrics
History = tuple[torch.Tensor, torch.Tensor]


def heads_alone(register: Register) -> bool:
    """Whether the metrics read of a list no more than its head, as Recall, NDCG, MRR, Hit, Precision and MAP do."""
    others = ("rec.items", "rec.meanrank", "rec.score", "data.label")
    return register.need("rec.topk") and not any(map(register.need, others))


class EvalLoader(FullSortEvalDataLoader):
    """See the module; arguments as RecBole's."""

    _dataset: LLMFashionRecDataset
    score_bytes = 20  # of a user and an item at the most: scores, a copy of them, masks

    def __init__(self, config: Any, dataset: LLMFashionRecDataset, sampler: Any, shuffle: bool = False) -> None:
        self._mask_history = bool(config["mask_history"])
        super().__init__(config, dataset, sampler, shuffle=shuffle)

    def _init_batch_size_and_step(self) -> None:
        """As many users at once as `eval_batch_size` and `eval_memory_mb` allow.

        Raises:
            UserError: the memory is too small for one user.
        """
        each, memory = self.user_bytes(self._dataset.item_num), int(self.config["eval_memory_mb"] * MEGABYTE)
        if not heads_alone(Register(self.config)):
            each = max(each, WHOLE_BYTES * self._dataset.item_num)
        if each > memory:
            raise UserError(
                f"eval_memory_mb: {self.config['eval_memory_mb']} is too small to rank {self._dataset.item_num - 1:,} "
                f"items for one user; take at least {ceil(each / MEGABYTE)}"
            )
        self.step = min(self.config["eval_batch_size"], memory // each)
        self.set_batch_size(self.step)

    @classmethod
    def user_bytes(cls, items: int) -> int:
        """What ranking so many items for one user takes at the most."""
        return cls.score_bytes * items

    def collate_fn(self, index: Sequence[int]) -> tuple[Interaction, History | None, torch.Tensor, torch.Tensor]:
        """RecBole's batch; its second part is what RecBole's trainer masks."""
        interaction, _, positive_u, positive_i = super().collate_fn(index)
        history = self.history(np.asarray(index)) if self._mask_history else None
        return interaction, history, positive_u, positive_i

    def history(self, rows: np.ndarray) -> History:
        """(place in the batch, internal item id) of all item actions before the rows' targets."""
        feat: Any = self._dataset.inter_feat
        asked = zip(feat[self.uid_field][rows].tolist(), feat[HISTORY_LENGTH][rows].tolist(), strict=True)
        events = [self._dataset.timeline.events(user, length) for user, length in asked]
        items = [one.ref[one.kind != SEARCH] + 1 for one in events]
        places = np.repeat(np.arange(len(items)), [len(one) for one in items])
        return torch.from_numpy(places), torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *items]))
