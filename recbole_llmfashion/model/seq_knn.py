"""SeqKNN: neighbours of the last items by common users; reads no text and no query."""

from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType

from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.lists.common_users import CommonUsers
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
from recbole_llmfashion.retrieval.scored_order import ScoredOrder, WholeTable
from recbole_llmfashion.retrieval.ties import scores_from_order, with_pad_column


class SeqKNN(SequentialRecommender):
    """Ranks items by cosine similarity to the user's last items, over the sets of users who took them.

    The score is that of `retrieval.lists.neighbor_list`, over the training part, from the last `knn_history` items.
    A history item gets a score from the other history items only; an item without common users comes last, by tie rank.

    Args:
        config: knn_history.
        dataset: the training part.

    Raises:
        UserError: knn_history below 1.
    """

    input_type = InputType.POINTWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.tie = torch.from_numpy(dataset.catalogue.tie_rank)
        rows = dataset.training_actions
        counts = CommonUsers.count(rows["user"].to_numpy(), rows["item"].to_numpy(), len(dataset.catalogue))
        self._list = NeighborList(counts.cosines(), self.tie.numpy(), int(config["knn_history"]))

    def ordered(self, interaction: Any) -> ItemOrder:
        """[B, N] the catalogue positions of each row."""
        scores = self._list.scores(interaction[self.ITEM_SEQ].cpu() - 1)
        return ScoredOrder(WholeTable(self.tie), torch.from_numpy(scores.toarray()))

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] finite, strictly ordered scores."""
        order = self.ordered(interaction).top(len(self.tie))
        return with_pad_column(scores_from_order(order)).to(interaction[self.ITEM_SEQ].device)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None]).squeeze(1)
