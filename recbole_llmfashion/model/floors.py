"""Floors: rankings that cost nothing, as sequential models on the same rows as every other."""

from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType

from recbole_llmfashion.retrieval.ties import order_by_score, scores_from_order, tie_rank


class Popularity(SequentialRecommender):
    """Items by the number of training actions, the same list for everybody.

    Args:
        config: RecBole's.
        dataset: the training part.
    """

    input_type = InputType.POINTWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        tie = torch.from_numpy(tie_rank(dataset.catalogue.item_ids))
        order = order_by_score(torch.from_numpy(dataset.popularity()).double()[None], tie)
        self.register_buffer("scores", with_pad_column(scores_from_order(order)))

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] the same strictly ordered scores in each row."""
        return self.scores.repeat(len(interaction), 1)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.scores[0, interaction[self.ITEM_ID]]


def with_pad_column(scores: torch.Tensor) -> torch.Tensor:
    """[B, N] by catalogue position -> [B, N + 1] by RecBole's internal id, the pad row last of all."""
    return torch.cat([torch.zeros_like(scores[:, :1]), scores], dim=1)
