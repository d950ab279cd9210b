"""Popularity: the same list for every user, by the number of training actions."""

from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType

from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.lists.popularity_list import popular_order
from recbole_llmfashion.retrieval.ties import scores_from_order, with_pad_column


class Popularity(SequentialRecommender):
    """Ranks items by the number of training actions.

    Args:
        config: RecBole's.
        dataset: the training part.
    """

    input_type = InputType.POINTWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.tie = torch.from_numpy(dataset.catalogue.tie_rank)
        self._order = popular_order(dataset.popularity(), self.tie)
        self.register_buffer("scores", with_pad_column(scores_from_order(self._order.top(len(self.tie)))))

    def ordered(self, interaction: Any) -> ItemOrder:
        """[B, N] the same order of catalogue positions in each row."""
        return self._order.repeat(len(interaction))

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] the same strictly ordered scores in each row."""
        return self.scores.repeat(len(interaction), 1)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.scores[0, interaction[self.ITEM_ID]]
