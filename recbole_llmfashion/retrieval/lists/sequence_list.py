"""Ranking by SASRec's encoder: the items after a user's sequence, as the trained model scores them.

The encoder is RecBole's SASRec without dropout, computed from its weights alone, so that a run folder can be served
without RecBole and without the dataset.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.lists.dot_table import DotTable
from recbole_llmfashion.retrieval.scored_order import ScoredOrder

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {  # by RecBole's names
    "gelu": functional.gelu,
    "relu": functional.relu,
    "swish": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


@dataclass(frozen=True)
class EncoderSettings:
    """What the shapes of the weights do not say.

    Args:
        heads: attention heads per block.
        activation: of the feed-forward layers, one of ACTIVATIONS.
        eps: constant of the layer norms.
        cosine: whether items are scored by their cosine with the state; otherwise by the dot product.
    """

    heads: int
    activation: str
    eps: float
    cosine: bool = False


class SequenceEncoder:
    """Sequences of item embeddings to states.

    Args:
        weights: by RecBole's names, without the item table.
        settings: see EncoderSettings.

    Raises:
        KeyError: a weight is missing.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], settings: EncoderSettings) -> None:
        self.weights, self.settings = dict(weights), settings
        self._tensors = {name: torch.from_numpy(np.asarray(weight, np.float32)) for name, weight in weights.items()}
        self._positions = self._tensors["position_embedding.weight"]
        self.length, self.width = self._positions.shape
        names = [name.split(".") for name in weights if name.startswith("trm_encoder.layer.")]
        self._blocks = 1 + max((int(name[2]) for name in names), default=-1)

    @torch.no_grad()
    def __call__(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """[B, d] the state after each sequence.

        Args:
            embedded: [B, L, d] item embeddings, oldest first, padded at the end; L at most `length`.
            lengths: [B] int64, 1 or more.
        """
        states = self._norm(embedded + self._positions[: embedded.shape[1]], "LayerNorm")
        for block in range(self._blocks):
            states = self._block(states, f"trm_encoder.layer.{block}.")
        return states[torch.arange(len(states)), lengths - 1]

    def _block(self, states: Tensor, name: str) -> Tensor:
        rows, length, width = states.shape
        attention = f"{name}multi_head_attention."
        query, key, value = (
            self._linear(states, f"{attention}{part}").reshape(rows, length, self.settings.heads, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        # the pad comes last, so a causal mask hides it from every item
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed = self._linear(mixed.transpose(1, 2).reshape(rows, length, width), f"{attention}dense")
        states = self._norm(mixed + states, f"{attention}LayerNorm")
        inner = ACTIVATIONS[self.settings.activation](self._linear(states, f"{name}feed_forward.dense_1"))
        return self._norm(self._linear(inner, f"{name}feed_forward.dense_2") + states, f"{name}feed_forward.LayerNorm")

    def _linear(self, values: Tensor, name: str) -> Tensor:
        return functional.linear(values, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _norm(self, values: Tensor, name: str) -> Tensor:
        weights = (self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])
        return functional.layer_norm(values, (self.width,), *weights, self.settings.eps)


class SequenceList:
    """Ranks the catalogue by the score of its embeddings with the state of a user's sequence.

    Args:
        encoder: of a trained SASRec.
        table: [M, d] embeddings of the M >= N items that users took, without the pad row; the first N are ranked.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
    """

    def __init__(self, encoder: SequenceEncoder, table: np.ndarray, tie: np.ndarray) -> None:
        self._encoder = encoder
        self._rows, places = torch.from_numpy(np.asarray(table, np.float32)), torch.from_numpy(np.asarray(tie))
        self._table = DotTable(self._rows[: len(places)], places, unit=encoder.settings.cosine)

    def __call__(self, taken: Tensor) -> ItemOrder:
        """[B, N] items by descending score, equal scores by tie rank.

        Args:
            taken: [B, S] positions of each user's items, oldest first, -1 for none; the order of a row without items
                is arbitrary.
        """
        items, lengths = newest(taken, self._encoder.length)
        rows = self._rows[items.clamp(min=0)]
        return ScoredOrder(self._table, self._encoder(rows, lengths.clamp(min=1)))


def newest(items: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The last items of each row without gaps, and their number.

    Args:
        items: [B, S] int64, -1 for none.
        most: number of items that are kept.

    Returns:
        ([B, L] with -1 behind the last, [B] int64), L from 1 to `most`.

    >>> kept, lengths = newest(torch.tensor([[7, -1, 8, 9], [-1, 5, -1, -1]]), 2)
    >>> kept.tolist(), lengths.tolist()
    ([[8, 9], [5, -1]], [2, 1])
    """
    valid = items >= 0
    after = valid.flip(1).cumsum(dim=1).flip(1)  # items from here on
    kept = valid & (after <= most)
    lengths = kept.sum(dim=1)
    order = (~kept).to(torch.int8).argsort(dim=1, stable=True)[:, : max(1, int(lengths.max()) if len(items) else 1)]
    return torch.where(kept, items, -1).gather(1, order), lengths
