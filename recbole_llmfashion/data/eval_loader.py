"""RecBole's full-sort evaluation loader with the keys `mask_history` and `eval_memory_mb`.

RecBole masks the history of general recommenders, never that of sequential ones, and rejects its own key for it
(`repeatable: False`). With `mask_history: True` no list contains an item of the row's whole timeline, which may be
longer than the truncated sequence that a model reads. `eval_memory_mb` bounds how many users are scored at once.
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
WHOLE_BYTES = 120  # bytes per user and item if a metric makes RecBole's collector sort all scores
ROWS_AT_ONCE = 4096  # whose histories are in memory together
History = tuple[torch.Tensor, torch.Tensor]


def heads_alone(register: Register) -> bool:
    """Whether all metrics need the top-k items only, as all metrics of rankings but GAUC do."""
    others = ("rec.meanrank", "rec.score", "data.label")
    return not any(map(register.need, others))


class EvalLoader(FullSortEvalDataLoader):
    """Full-sort loader that masks the history and bounds memory; arguments as RecBole's."""

    _dataset: LLMFashionRecDataset
    score_bytes = 20  # bytes per user and item at most: scores, a copy of them, masks

    def __init__(self, config: Any, dataset: LLMFashionRecDataset, sampler: Any, shuffle: bool = False) -> None:
        self._mask_history = bool(config["mask_history"])
        super().__init__(config, dataset, sampler, shuffle=shuffle)

    def _init_batch_size_and_step(self) -> None:
        """Set the number of users per batch from `eval_batch_size` and `eval_memory_mb`.

        Raises:
            UserError: the memory is too small for one user.
        """
        per_user, memory = self.user_bytes(self._dataset.item_num), int(self.config["eval_memory_mb"] * MEGABYTE)
        if self.config["model"] == "TransRec":  # its scores are distances, from four copies of the items for each user
            per_user += 16 * self.config["embedding_size"] * self._dataset.item_num
        if not heads_alone(Register(self.config)):
            per_user = max(per_user, WHOLE_BYTES * self._dataset.item_num)
        if per_user > memory:
            raise UserError(
                f"eval_memory_mb: {self.config['eval_memory_mb']} is too small to rank {self._dataset.item_num - 1:,} "
                f"items for one user; set at least {ceil(per_user / MEGABYTE)}"
            )
        self.step = min(self.config["eval_batch_size"], memory // per_user)
        self.set_batch_size(self.step)

    @classmethod
    def user_bytes(cls, items: int) -> int:
        """Upper bound on the bytes needed to rank `items` items for one user."""
        return cls.score_bytes * items

    def collate_fn(self, index: Sequence[int]) -> tuple[Interaction, History | None, torch.Tensor, torch.Tensor]:
        """RecBole's batch; its second element is what RecBole's trainer masks."""
        interaction, _, positive_u, positive_i = super().collate_fn(index)
        history = self.history(np.asarray(index)) if self._mask_history else None
        return interaction, history, positive_u, positive_i

    def masked_targets(self) -> int:
        """Number of rows whose own target `mask_history` leaves out of the ranking; 0 without it."""
        if not self._mask_history:
            return 0
        targets: Any = self._dataset.inter_feat[self.iid_field]
        masked = 0
        for rows in torch.arange(len(targets)).split(ROWS_AT_ONCE):
            index, items = self.history(rows.numpy())
            masked += len(torch.unique(index[items == targets[rows][index]]))
        return masked

    def history(self, rows: np.ndarray) -> History:
        """(index in the batch, internal item id) of all item actions before the rows' targets, both int64 [n]."""
        feat: Any = self._dataset.inter_feat
        prefixes = zip(feat[self.uid_field][rows].tolist(), feat[HISTORY_LENGTH][rows].tolist(), strict=True)
        histories = [self._dataset.timeline.events(user, length) for user, length in prefixes]
        items = [events.ref[events.kind != SEARCH] + 1 for events in histories]
        batch_index = np.repeat(np.arange(len(items)), [len(row_items) for row_items in items])
        return torch.from_numpy(batch_index), torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *items]))
