"""TextSASRec: RecBole's SASRec over frozen vectors of the items' titles, through one linear layer.

It is the text-only form of UniSRec (arXiv 2206.05941) without its mixture of experts and its pre-training. The model
holds no parameter of an item, so it can rank items that it has never seen.
"""

import numpy as np
import torch
from recbole.model.sequential_recommender import SASRec
from torch import Tensor, nn

from recbole_llmfashion.model.text_rows import llmfashionrec


class TextEmbedding(nn.Module):
    """In place of an embedding table: row(i) = W x_i + b of frozen unit vectors x, scaled to unit variance.

    Args:
        vectors: [N, d] float32 unit rows by catalogue position; the pad is a row of zeros before them.
        width: of the rows.
    """

    vectors: Tensor

    def __init__(self, vectors: np.ndarray, width: int) -> None:
        super().__init__()
        scaled = torch.from_numpy(np.asarray(vectors, np.float32)) * vectors.shape[1] ** 0.5
        # a stage of their own: no checkpoint holds them
        self.register_buffer("vectors", nn.functional.pad(scaled, (0, 0, 1, 0)), persistent=False)
        self.linear = nn.Linear(vectors.shape[1], width)

    @property
    def weight(self) -> Tensor:
        """[N + 1, width] every row, as RecBole reads them from a table."""
        rows: Tensor = self.linear(self.vectors)
        return rows

    def forward(self, items: Tensor) -> Tensor:
        """[..., width] rows of internal ids [...]."""
        rows: Tensor = self.linear(self.vectors[items])
        return rows


class TextSASRec(SASRec):
    """RecBole's SASRec with another source of item embeddings; `attach` must be called before it trains or ranks.

    Args:
        config: the keys of SASRec.
        dataset: the training part.
    """

    texts_of = staticmethod(llmfashionrec)

    def attach(self, vectors: np.ndarray) -> None:
        """Takes the items' vectors in place of the embedding table.

        Args:
            vectors: [N, d] float32 unit rows by catalogue position.
        """
        self.item_embedding = TextEmbedding(vectors, self.hidden_size)
        self.item_embedding.apply(self._init_weights)
