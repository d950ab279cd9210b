"""RecBole's rows in RecBole's order, with prompts: the loader that feeds LLMFashionRec.

The collate takes an allow-list of columns, looks up the user's events before the row and adds the prompt; the target,
which RecBole's evaluation interaction contains, never reaches the builder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction
from torch.nn.utils.rnn import pad_sequence

from recbole_llmfashion.data.dataset import (
    HISTORY_LENGTH,
    RECOMMEND_TIME,
    TARGET_PURCHASE,
    LLMFashionRecDataset,
)
from recbole_llmfashion.data.eval_loader import EvalLoader, History
from recbole_llmfashion.data.loaders import rows_of
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.builder import Prompt, PromptBuilder, PromptRow
from recbole_llmfashion.prompt.training_examples import EarlierRows, ResponseEvents, may_respond, training_rows

PROMPT_IDS, PROMPT_ITEMS = "prompt_ids", "prompt_items"
ACTED_ITEMS, TAKEN_ITEMS = "acted_items", "taken_items"
MEMORY_ITEMS, QUERY_KNOWN = "memory_items", "query_known"
TILE = 2**18  # items that are scored at once; a test holds it to retrieval.scored_order's


@dataclass(frozen=True)
class TrainingPrompt:
    """A prompt that the LLM is trained on.

    Args:
        prompt: without its response.
        target: catalogue position of the response's item.
        user: internal id.
        purchase: whether the user purchased the target; False for a click.
    """

    prompt: Prompt
    target: int
    user: int
    purchase: bool


class LLMFashionRecDataLoader(EvalLoader):
    """RecBole's full-sort loader with prompts; `set_builder` must be called before its rows are read.

    Args:
        config, dataset, sampler, shuffle: as for RecBole's loader; rows are never shuffled.
        training: the rows are training rows, whose own search the memory leaves out.
    """

    _dataset: LLMFashionRecDataset
    score_bytes = 24  # of a user and an item of a tile: scores by row and by item, and what compares them
    list_bytes = 2**20  # of a user: the heads of all lists, beside each other and scored pair by pair

    def __init__(
        self, config: Any, dataset: LLMFashionRecDataset, sampler: Any, shuffle: bool = False, training: bool = False
    ) -> None:
        self.training = training
        self._builder: PromptBuilder | None = None
        self._encoded: list[PromptRow] = []
        super().__init__(config, dataset, sampler, shuffle=False)

    @property
    def builder(self) -> PromptBuilder:
        """Writes the prompts."""
        assert self._builder is not None
        return self._builder

    def set_builder(self, builder: PromptBuilder) -> None:
        """Writes the prompts of this loader's rows with `builder` from now on."""
        if builder is not self._builder:
            self._builder, self._encoded = builder, []

    def encode(self) -> Sequence[PromptRow]:
        """Every row of the dataset, encoded once and kept until `forget`; the batches are made of these rows."""
        if len(self._encoded) != len(self._dataset):
            self._encoded = list(self.rows(np.arange(len(self._dataset))))
        return self._encoded

    def forget(self) -> None:
        """Frees the rows that `encode` keeps."""
        self._encoded = []

    @classmethod
    def user_bytes(cls, items: int) -> int:
        """A tile of the items at a time (retrieval/scored_order.py), so that this does not grow beyond it.

        The scores of the neighbors' and the word list have a bound of their own (retrieval/lists/neighbor_list.py).
        """
        return cls.score_bytes * min(items, TILE) + cls.list_bytes

    def rows(self, rows: Sequence[int] | np.ndarray) -> Iterator[PromptRow]:
        """Rows of this loader's dataset with their prompts; the target is not read."""
        if self._encoded:
            yield from (self._encoded[row] for row in rows)
            return
        feat: Any = self._dataset.inter_feat
        allowed = (feat[self.uid_field][rows], feat[HISTORY_LENGTH][rows], feat[RECOMMEND_TIME][rows])
        for user, length, now in zip(*(column.tolist() for column in allowed), strict=True):
            yield self.builder.row(self._dataset.timeline.events(user, length), now, self.training)

    def training_prompts(self, per_user: int, responses: ResponseEvents, every: bool) -> Iterator[TrainingPrompt]:
        """Prompts of training rows.

        Args:
            per_user, responses: as `training_rows` has them.
            every: whether further prompts show the actions that did not fit.
        """
        feat: Any = self._dataset.inter_feat
        users, targets = feat[self.uid_field].numpy(), feat[self.iid_field].numpy() - 1
        purchase = feat[TARGET_PURCHASE].numpy()
        possible = may_respond(purchase, responses)
        earlier = EarlierRows(users, feat[HISTORY_LENGTH].numpy(), possible) if every else None
        rows = training_rows(users, purchase, per_user, responses)
        while len(rows):
            dropped = np.zeros(len(rows), np.int64)
            for at, row in enumerate(self.rows(rows)):
                dropped[at] = row.prompt.dropped
                index = rows[at]
                yield TrainingPrompt(row.prompt, int(targets[index]), int(users[index]), bool(purchase[index]))
            rows = earlier.before(rows, dropped) if earlier else rows[:0]

    def batches(self, rows: np.ndarray) -> Iterator[tuple[Interaction, History | None, torch.Tensor, torch.Tensor]]:
        """Batches of some of the rows, by their indices, of the size that the loader's own have."""
        for first in range(0, len(rows), self.step):
            yield self.collate_fn(rows[first : first + self.step].tolist())

    def collate_fn(self, index: Sequence[int]) -> tuple[Interaction, History | None, torch.Tensor, torch.Tensor]:
        """RecBole's batch and prompt_ids [B, P], padded with -1, four lists of ids, padded with 0, and a flag."""
        interaction, history, positive_u, positive_i = super().collate_fn(index)
        rows = list(self.rows(np.asarray(index)))
        prompts = [row.prompt for row in rows]
        added = {
            PROMPT_IDS: _padded([torch.from_numpy(prompt.ids) for prompt in prompts], -1),
            PROMPT_ITEMS: _padded([torch.tensor(prompt.items, dtype=torch.int64) + 1 for prompt in prompts], 0),
            ACTED_ITEMS: _padded(
                [torch.tensor(prompt.items[: prompt.acted], dtype=torch.int64) + 1 for prompt in prompts], 0
            ),
            TAKEN_ITEMS: _padded([torch.tensor(row.taken, dtype=torch.int64) + 1 for row in rows], 0),
            QUERY_KNOWN: torch.tensor([row.query_known for row in rows]),
            MEMORY_ITEMS: _padded([torch.tensor(row.recalled, dtype=torch.int64) + 1 for row in rows], 0),
        }
        interaction.update(Interaction(added))
        return interaction, history, positive_u, positive_i


def check_responses(train_data: Any) -> None:
    """Raises UserError if no training row has a purchase as target, which `response_events: purchase` needs."""
    rows: Any = rows_of(train_data)
    if not rows.inter_feat[TARGET_PURCHASE].any():
        raise UserError(
            f"response_events: purchase leaves no training prompt, since the targets of all {len(rows)} training rows "
            f"of {rows.dataset_path} are clicks; set response_events: all, or add users with three purchases"
        )


def _padded(rows: list[torch.Tensor], value: int) -> torch.Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=value).to(torch.int64)
