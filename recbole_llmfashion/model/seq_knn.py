"""SeqKNN: neighbours of the last items by common users; reads no text and no query."""

from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from scipy import sparse

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.scored_order import ScoredOrder, WholeTable
from recbole_llmfashion.retrieval.ties import scores_from_order, with_pad_column


class SeqKNN(SequentialRecommender):
    """Ranks items by cosine similarity to the user's last items, over the sets of users who took them.

    score(i) = sum over the last `knn_history` items j, newest first, age a from 0, of cos(i, j) / (1 + a)
    cos(i, j) = users of both / sqrt(users of i * users of j), over the training part; cos(i, i) = 0

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
        self._history = int(config["knn_history"])
        self.tie = torch.from_numpy(tie_rank(dataset.catalogue.item_ids))
        rows = dataset.training_actions
        self._cosine = item_cosines(rows["user"].to_numpy(), rows["item"].to_numpy(), len(dataset.catalogue))

    def ordered(self, interaction: Any) -> ItemOrder:
        """[B, N] the catalogue positions of each row."""
        items, lengths = interaction[self.ITEM_SEQ].cpu().numpy(), interaction[self.ITEM_SEQ_LEN].cpu().numpy()
        age = lengths[:, None] - 1 - np.arange(items.shape[1])
        row, column = np.nonzero((age >= 0) & (age < self._history) & (items > 0))
        weights = sparse.coo_array(
            (1 / (1 + age[row, column]), (row, items[row, column] - 1)), shape=(len(items), self._cosine.shape[0])
        ).tocsr()
        return ScoredOrder(WholeTable(self.tie), torch.from_numpy((weights @ self._cosine).toarray()))

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] finite, strictly ordered scores."""
        order = self.ordered(interaction).top(len(self.tie))
        return with_pad_column(scores_from_order(order)).to(interaction[self.ITEM_SEQ].device)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None]).squeeze(1)


def item_cosines(users: np.ndarray, items: np.ndarray, count: int) -> sparse.csr_array:
    """Cosines of the items' sets of users, sparse [count, count], the diagonal empty.

    Args:
        users, items: [n] of the actions; repetitions count once.
        count: number of items in the catalogue.
    """
    pairs = np.unique(np.stack([users, items]), axis=1)
    ones = np.ones(pairs.shape[1])
    incidence = sparse.coo_array((ones, (pairs[0], pairs[1])), shape=(int(users.max(initial=0)) + 1, count)).tocsr()
    together = (incidence.T @ incidence).tocoo()
    number = np.asarray(incidence.sum(axis=0)).ravel()
    apart = together.row != together.col
    row, column = together.row[apart], together.col[apart]
    value = together.data[apart] / np.sqrt(number[row] * number[column])
    return sparse.coo_array((value, (row, column)), shape=(count, count)).tocsr()
