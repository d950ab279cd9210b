"""LLMFashionRec: the LLM's answer, two ranked lists, one mixup, as a RecBole sequential model (paper, section 4.4).

`full_sort_predict` asks the answer book for the responses to the batch's prompts, reads (ID, title) from each, and
scores the catalogue by ranking.py. The trainer hands over the parts; the model holds no weights of its own, so a
checkpoint of it stays empty. It does not know how any part was trained.
"""

from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.prompt.dataloader import (
    ACTED_ITEMS,
    MEMORY_ITEMS,
    PROMPT_IDS,
    PROMPT_ITEMS,
    QUERY_KNOWN,
)
from recbole_llmfashion.prompt.response import parse_response
from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.rankers import Rankers
from recbole_llmfashion.retrieval.ranking import (
    FUSED,
    GROUPS,
    RankedBatch,
    Ranking,
    RankingSettings,
    RowContext,
    Weights,
    rank,
)
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.retrieval.ties import scores_from_order, with_pad_column


class LLMFashionRec(SequentialRecommender):
    """See the module.

    Args:
        config: ranking, mixup_m, mixup_k, mixup_title_start, fallback.
        dataset: the training part; its catalogue names the items.

    Attributes:
        ranking: which list `full_sort_predict` returns, see ranking.Mixing.
        weights: of `ranking: fusion`; equal until the trainer has looked at the validation rows.
    """

    input_type = InputType.POINTWISE
    parts: Rankers

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.configure(config)
        self.validity = ResponseStats()
        self.weights: Weights = {group: dict.fromkeys(FUSED, 1.0) for group in GROUPS}
        self.tie = torch.from_numpy(tie_rank(dataset.catalogue.item_ids))

    def configure(self, config: Any) -> None:
        """Takes the keys of a config whose values settings.check has seen."""
        self.ranking: Ranking = config["ranking"]
        self.mixup_m, self.mixup_k = int(config["mixup_m"]), int(config["mixup_k"])
        self._start_at_m = config["mixup_title_start"] == "m"
        self._use_memory = config["empty_response_fallback"] == "memory"

    @property
    def mixing(self) -> RankingSettings:
        """How the lists are joined now."""
        start = self.mixup_m if self._start_at_m else 0
        return RankingSettings(self.ranking, self.mixup_m, self.mixup_k, start, self._use_memory, self.weights)

    def ranked(self, interaction: Any) -> RankedBatch:
        """Answers and lists of a batch; the answers are counted."""
        ids = interaction[PROMPT_IDS].cpu()
        prompts = [row[row >= 0].numpy().astype(np.int32) for row in ids]
        responses = self.parts.answer(prompts)
        answers = [parse_response(response.text) for response in responses]
        asked = RowContext(*(interaction[name].cpu() for name in (MEMORY_ITEMS, ACTED_ITEMS, QUERY_KNOWN)))
        ranked = rank(self.parts, self.mixing, self.tie, responses, answers, asked)
        self.validity.add(answers, ranked, interaction[PROMPT_ITEMS].cpu())
        return ranked

    def ordered(self, interaction: Any) -> ItemOrder:
        """[B, N] the catalogue positions of each row."""
        return self.ranked(interaction).final

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] finite, strictly ordered scores by RecBole's internal id."""
        ranked = self.ranked(interaction)
        return with_pad_column(scores_from_order(ranked.order)).to(interaction[PROMPT_IDS].device)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None]).squeeze(1)
