"""LLMFashionRec: the LLM's answer, two ranked lists, one mixup, as a RecBole sequential model (paper, section 4.4).

`full_sort_predict` asks the answer book for the responses to the batch's prompts, reads (ID, title) from each, ranks
the catalogue by the ID's embedding and by the title's, and joins the lists. The trainer hands over the parts; the model
holds no weights of its own, so a checkpoint of it stays empty. It does not know how any part was trained.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType

from recbole_llmfashion.data.fixed_order import tie_rank
from recbole_llmfashion.model.floors import with_pad_column
from recbole_llmfashion.prompt.dataloader import MEMORY_ITEMS, PROMPT_IDS, PROMPT_ITEMS
from recbole_llmfashion.prompt.response import Answer, parse_response
from recbole_llmfashion.retrieval.mixup import mixup
from recbole_llmfashion.retrieval.ties import order_by_score, scores_from_order

FALLBACKS = ("memory", "popularity")
Ranking = Literal["mixup", "id", "title", "clip"]
Ranker = Callable[[torch.Tensor], torch.Tensor]  # [B] item positions to [B, N] positions, best first


@dataclass
class Parts:
    """What the trainer's stages made.

    Args:
        answer: prompts (int32 arrays) to response texts.
        position_of: item token as it stands in a response -> catalogue position.
        id_list, title_list: rank the catalogue for an ID, for a title.
        clip_list: as title_list by the CLIP tower, where `ranking` asks for it.
        popularity: [N] training actions by catalogue position, the last fallback; zeros leave the fixed order.
    """

    answer: Callable[[Sequence[np.ndarray]], list[str]]
    position_of: dict[str, int]
    id_list: Ranker
    title_list: Callable[[Sequence[str]], torch.Tensor]
    popularity: np.ndarray
    clip_list: Callable[[Sequence[str]], torch.Tensor] | None = None


@dataclass
class Validity:
    """Counts over the answers of an evaluation: nothing that went wrong is silent.

    `fallback` counts the rows in which at least one list could not be made from the answer.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def rates(self) -> dict[str, float]:
        """Shares of all answers, and what each fallback did."""
        total = max(1, self.counts["answers"])
        names = (
            "format",
            "valid_id",
            "fallback",
            "in_prompt",
            "no_id_list",
            "no_title_list",
            "memory_list",
            "popularity_list",
        )
        return {f"{name}_rate": self.counts[name] / total for name in names}


class LLMFashionRec(SequentialRecommender):
    """See the module.

    Args:
        config: ranking, mixup_m, mixup_k, mixup_title_start, fallback.
        dataset: the training part; its catalogue names the items.

    Attributes:
        ranking: which list `full_sort_predict` returns; "id" and "title" are the two lists alone, "clip" the title list
            by the CLIP tower (the paper's ablations 3, 4 and 5).
    """

    input_type = InputType.POINTWISE
    parts: Parts

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.configure(config)
        self.validity = Validity()
        self._tie = torch.from_numpy(tie_rank(dataset.catalogue.item_ids))

    def configure(self, config: Any) -> None:
        """Takes the keys of a config whose values settings.check has seen."""
        self.ranking: Ranking = config["ranking"]
        self.mixup_m, self.mixup_k = int(config["mixup_m"]), int(config["mixup_k"])
        self._start_at_m = config["mixup_title_start"] == "m"
        self._use_memory = config["fallback"] == "memory"

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] finite, strictly ordered scores by RecBole's internal id."""
        ids = interaction[PROMPT_IDS].cpu()
        prompts = [row[row >= 0].numpy().astype(np.int32) for row in ids]
        answers = [parse_response(text) for text in self.parts.answer(prompts)]
        positions = torch.tensor([self.parts.position_of.get(answer.item_token or "", -1) for answer in answers])
        self._count(answers, positions, interaction)
        order = self._rank(answers, positions, interaction[MEMORY_ITEMS].cpu())
        return with_pad_column(scores_from_order(order)).to(interaction[PROMPT_IDS].device)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None]).squeeze(1)

    def _rank(self, answers: list[Answer], positions: torch.Tensor, recalled: torch.Tensor) -> torch.Tensor:
        id_order = self.parts.id_list(positions)
        by_title = self.parts.clip_list if self.ranking == "clip" else self.parts.title_list
        assert by_title is not None
        title_order = by_title([answer.title or "" for answer in answers])
        has_id = positions >= 0
        has_title = torch.tensor([answer.title is not None for answer in answers])
        fallback, lacking = id_order.clone(), ~(has_id & has_title)
        if lacking.any():
            fallback[lacking] = self._fallback(recalled[lacking])
        if self.ranking == "id":
            return torch.where(has_id[:, None], id_order, fallback)
        if self.ranking in ("title", "clip"):
            return torch.where(has_title[:, None], title_order, fallback)
        start = self.mixup_m if self._start_at_m else 0
        return mixup(id_order, title_order, has_id, has_title, fallback, self.mixup_m, self.mixup_k, start)

    def _fallback(self, recalled: torch.Tensor) -> torch.Tensor:
        """The memory's products for the last query, where they are wanted, then popularity."""
        recalled = recalled if self._use_memory else torch.zeros_like(recalled)
        score = torch.from_numpy(self.parts.popularity).double().repeat(len(recalled), 1)
        lead = score.max() + torch.arange(recalled.shape[1], 0, -1).double().expand(recalled.shape)
        padded = with_pad_column(score).scatter(1, recalled, lead)
        return order_by_score(padded[:, 1:], self._tie)

    def _count(self, answers: list[Answer], positions: torch.Tensor, interaction: Any) -> None:
        shown = interaction[PROMPT_ITEMS].cpu()
        recalled = interaction[MEMORY_ITEMS].cpu()
        has_id = positions >= 0
        has_title = torch.tensor([answer.title is not None for answer in answers])
        neither = ~has_id & ~has_title
        has_memory = (recalled > 0).any(dim=1) & self._use_memory
        self.validity.counts.update(
            answers=len(answers),
            format=sum(answer.well_formed for answer in answers),
            valid_id=int(has_id.sum()),
            in_prompt=int((has_id & (shown == positions[:, None] + 1).any(dim=1)).sum()),
            fallback=int((~has_id | ~has_title).sum()),
            no_id_list=int((~has_id & has_title).sum()),
            no_title_list=int((has_id & ~has_title).sum()),
            memory_list=int((neither & has_memory).sum()),
            popularity_list=int((neither & ~has_memory).sum()),
        )
