"""LLMFashionRec: the LLM's response and its ranked lists as a RecBole sequential model (paper, section 4.4).

`full_sort_predict` takes the responses to the batch's prompts, reads ID and title, and scores the catalogue by
retrieval/ranking.py. The model holds no weights of its own, so a checkpoint of it is empty; the trainer attaches what
it ranks with.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType

from recbole_llmfashion.prompt.dataloader import (
    ACTED_ITEMS,
    MEMORY_ITEMS,
    PROMPT_IDS,
    PROMPT_ITEMS,
    QUERY_KNOWN,
    TAKEN_ITEMS,
)
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.retrieval.fusion import equal_weights
from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.rankers import Rankers
from recbole_llmfashion.retrieval.ranking import (
    ENCODER,
    FUSED,
    GROUPS,
    IMAGE,
    RankedBatch,
    RankingSettings,
    ResponseLists,
    RowContext,
    Weights,
)
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.retrieval.ties import scores_from_order, with_pad_column

Respond = Callable[[Sequence[np.ndarray]], list[Response]]  # prompts (int32 token ids) to responses


class LLMFashionRec(SequentialRecommender):
    """Ranks the catalogue by the LLM's responses; `attach` must be called before it ranks.

    Args:
        config: ranking, mixup_m, mixup_k, mixup_title_start, empty_response_fallback.
        dataset: the training part; its catalogue names the items.

    Attributes:
        weights: of `ranking: fusion`; equal until the trainer chooses them on the validation rows.
        stats: counts over the responses that were ranked.
    """

    input_type = InputType.POINTWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.configure(config)
        self.stats = ResponseStats()
        self.tie = torch.from_numpy(dataset.catalogue.tie_rank)

    def configure(self, config: Any) -> None:
        """Takes the ranking keys of a config; in zero-shot they are the source's."""
        start = int(config["mixup_m"]) if config["mixup_title_start"] == "m" else 0
        use_memory = config["empty_response_fallback"] == "memory"
        lists = [name for name in FUSED if name != IMAGE and (name != ENCODER or config["memory_encoder"] != "clip")]
        self.weights: Weights = {group: equal_weights(lists) for group in GROUPS}
        self._settings = RankingSettings(
            config["ranking"], int(config["mixup_m"]), int(config["mixup_k"]), start, use_memory
        )

    def attach(self, rankers: Rankers, respond: Respond) -> None:
        """Takes what the model ranks with.

        Args:
            rankers: of the catalogue's items.
            respond: gives the responses to prompts.
        """
        self.rankers, self.respond = rankers, respond
        if rankers.image_list is not None:
            self.weights = {group: {IMAGE: 1.0, **weights} for group, weights in self.weights.items()}

    def ranking_settings(self, **changes: Any) -> RankingSettings:
        """How the lists are joined now, with some settings changed: fields of RankingSettings."""
        return RankingSettings(**{**vars(self._settings), "weights": self.weights, **changes})

    def lists(self, interaction: Any) -> ResponseLists:
        """The ranked lists of a batch, from the responses to its prompts."""
        ids = interaction[PROMPT_IDS].cpu()
        responses = self.respond([row[row >= 0].numpy().astype(np.int32) for row in ids])
        columns = (MEMORY_ITEMS, ACTED_ITEMS, TAKEN_ITEMS, QUERY_KNOWN)
        context = RowContext(*(interaction[name].cpu() for name in columns))
        return ResponseLists(self.rankers, self.tie, responses, context)

    def ranked(self, interaction: Any, lists: ResponseLists | None = None) -> RankedBatch:
        """The batch's lists joined by the current settings; its responses are counted.

        Args:
            lists: of this batch, where the caller has them already.
        """
        lists = self.lists(interaction) if lists is None else lists
        ranked = lists.rank(self.ranking_settings())
        self.stats.add(lists.parsed, ranked, interaction[PROMPT_ITEMS].cpu())
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
