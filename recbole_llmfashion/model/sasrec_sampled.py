"""SASRecSampled: RecBole's SASRec, trained on whole sequences with a sampled softmax.

RecBole trains SASRec on one row per prefix, with a loss at its last position, and scores every item. Here one row holds
up to `MAX_ITEM_LIST_LENGTH` targets of a user, with a loss at each position against `n_negatives` items. The targets
are the same; the encoder reads each sequence once per epoch instead of once per target.

With `similarity: cosine` a score is cos(state, item) / softmax_temperature, as CORE scores (arXiv 2204.11067); the
encoder reads the rows as they are.
"""

from typing import Any

import torch
from recbole.model.sequential_recommender import SASRec
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding, normalize

from recbole_llmfashion.data.whole_sequences import LEARNED
from recbole_llmfashion.model.length_groups import by_length, encode_groups

SHORT = 8  # sequences up to this length are encoded together


class SASRecSampled(SASRec):
    """RecBole's parameters with another loss, and by `similarity: dot` RecBole's scores.

    Args:
        config: n_negatives, similarity, softmax_temperature, and the keys of SASRec.
        dataset: the training part, as `data.whole_sequences` makes its rows.
    """

    whole_sequences = True  # its training rows are those of data/whole_sequences.py

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self._negatives = int(config["n_negatives"])
        self.cosine = config["similarity"] == "cosine"
        self.temperature = float(config["softmax_temperature"])

    def forward(self, item_seq: Tensor, item_seq_len: Tensor) -> Tensor:
        """[B, d] what a product with `item_rows` turns into scores."""
        return self._scaled(encode_groups(super().forward, item_seq, item_seq_len, SHORT))

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """[B, N + 1] scores of all items; column 0 is the pad."""
        states = self.forward(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])
        return states @ self.item_rows().T

    def predict(self, interaction: Any) -> Tensor:
        """[B] scores of one item per row."""
        states = self.forward(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])
        return (states * self.item_rows()[interaction[self.ITEM_ID]]).sum(dim=1)

    def item_rows(self) -> Tensor:
        """[N + 1, d] the item embeddings as scores read them: unit rows by `similarity: cosine`."""
        rows = self.item_embedding.weight
        return normalize(rows, dim=1) if self.cosine else rows

    def _scaled(self, states: Tensor) -> Tensor:
        return normalize(states, dim=-1) / self.temperature if self.cosine else states

    def states(self, items: Tensor) -> Tensor:
        """[B, L, d] the state at each position of sequences [B, L], 0 for none at the end; RecBole returns the last."""
        positions = self.position_embedding(torch.arange(items.shape[1], device=items.device))
        embedded = self.dropout(self.LayerNorm(self.item_embedding(items) + positions))
        layers = self.trm_encoder(embedded, self.get_attention_mask(items), output_all_encoded_layers=False)
        last: Tensor = layers[-1]
        return last

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Mean cross-entropy of the rows' targets."""
        items, lengths = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        targets = next_items(items, lengths, interaction[self.POS_ITEM_ID])
        targets = torch.where(interaction[LEARNED], targets, 0)
        negatives, table, losses = self._drawn(len(items)), self.item_rows(), []
        for rows in by_length(lengths, SHORT):
            longest = int(lengths[rows].max())
            states, wanted = self._scaled(self.states(items[rows, :longest])), targets[rows, :longest]
            if negatives is not None:
                losses.append(softmax_losses(states, wanted, negatives[rows], table))
            else:
                learned = wanted > 0
                losses.append(cross_entropy(states[learned] @ table[1:].T, wanted[learned] - 1, reduction="none"))
        return torch.cat(losses).mean()

    def _drawn(self, rows: int) -> Tensor | None:
        """[rows, K] uniformly drawn items for each sequence; None where every item counts, as K others are all."""
        if not 0 < self._negatives < self.n_items - 2:
            return None
        return torch.randint(1, self.n_items, (rows, self._negatives), device=self.item_embedding.weight.device)


def next_items(items: Tensor, lengths: Tensor, last: Tensor) -> Tensor:
    """The item after each position of a sequence.

    Args:
        items: [B, L] sequences, 0 for none at the end.
        lengths: [B] int64.
        last: [B] the item after each sequence.

    >>> next_items(torch.tensor([[4, 5, 0]]), torch.tensor([2]), torch.tensor([6])).tolist()
    [[5, 6, 0]]
    """
    following = torch.zeros_like(items)
    following[:, :-1] = items[:, 1:]
    return following.scatter(1, lengths[:, None] - 1, last[:, None])


def softmax_losses(states: Tensor, targets: Tensor, negatives: Tensor, table: Tensor) -> Tensor:
    """-log softmax of each target's score among its own and those of the negatives.

    A negative that equals the target of a position does not count there.

    Args:
        states: [B, L, d].
        targets: [B, L] int64, 0 for none.
        negatives: [B, K] int64, of all positions of a row.
        table: [N + 1, d], row 0 is the pad.

    Returns:
        [T], one per target.
    """
    own = (states * embedding(targets, table)).sum(dim=2)
    others = states @ embedding(negatives, table).transpose(1, 2)
    # not -inf: the gradient of a logsumexp over nothing else would be NaN
    others = others.masked_fill(negatives[:, None] == targets[:, :, None], torch.finfo(others.dtype).min)
    return (torch.logaddexp(own, others.logsumexp(dim=2)) - own)[targets > 0]
