"""TextKNN: the items whose titles are nearest to those of the last items; nothing is trained on the sequences."""

from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType

from recbole_llmfashion.model.text_rows import llmfashionrec
from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.lists.id_list import IdList
from recbole_llmfashion.retrieval.lists.sequence_list import newest
from recbole_llmfashion.retrieval.ties import scores_from_order, with_pad_column


class TextKNN(SequentialRecommender):
    """Ranks items by cosine with the mean vector of the last `knn_history` items; `attach` must be called first.

    An item of the history is ranked like any other.

    Args:
        config: knn_history.
        dataset: the training part.
    """

    input_type = InputType.POINTWISE
    texts_of = staticmethod(llmfashionrec)

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.tie = torch.from_numpy(dataset.catalogue.tie_rank)
        self._history = int(config["knn_history"])

    def attach(self, vectors: np.ndarray) -> None:
        """Takes the items' vectors.

        Args:
            vectors: [N, d] float32 unit rows by catalogue position.
        """
        self._list = IdList(vectors, self.tie.numpy()).sessions()

    def ordered(self, interaction: Any) -> ItemOrder:
        """[B, N] the catalogue positions of each row."""
        return self._list(newest(interaction[self.ITEM_SEQ].cpu() - 1, self._history)[0])

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] finite, strictly ordered scores."""
        order = self.ordered(interaction).top(len(self.tie))
        return with_pad_column(scores_from_order(order)).to(interaction[self.ITEM_SEQ].device)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None]).squeeze(1)
