"""RecBole's models that score by a dot product, evaluated over tiles of the items; see retrieval/scored_order.py.

    score(i) = (s . e_i + b_i) / t, s the sequence's vector, as in each model's `full_sort_predict`

RecBole scores all items at once, which takes gigabytes for a few users at a million items. The functions here are the
part of each `full_sort_predict` before that product. A catalogue of one tile is scored by RecBole itself.
"""

from collections.abc import Callable
from typing import Any

from recbole.model import sequential_recommender as recbole
from torch import Tensor

from recbole_llmfashion.model.sasrec_sampled import SASRecSampled
from recbole_llmfashion.model.text_sasrec import TextSASRec
from recbole_llmfashion.retrieval.item_order import ItemOrder
from recbole_llmfashion.retrieval.lists.dot_table import DotTable
from recbole_llmfashion.retrieval.scored_order import TILE, ScoredOrder

Sequences = Callable[[Any, Any], Tensor]  # model and RecBole's interaction to [B, d]


def _by_items(model: Any, batch: Any) -> Tensor:
    return model.forward(batch[model.ITEM_SEQ])


def _by_items_and_lengths(model: Any, batch: Any) -> Tensor:
    return model.forward(batch[model.ITEM_SEQ], batch[model.ITEM_SEQ_LEN])


def _by_mask(model: Any, batch: Any) -> Tensor:
    length = batch[model.ITEM_SEQ_LEN]
    return model.gather_indexes(model.forward(model.reconstruct_test_data(batch[model.ITEM_SEQ], length)), length - 1)


SEQUENCES: dict[type, Sequences] = {
    recbole.CORE: _by_items,
    recbole.NextItNet: _by_items,
    recbole.SASRec: _by_items_and_lengths,
    SASRecSampled: _by_items_and_lengths,
    TextSASRec: _by_items_and_lengths,
    recbole.GRU4Rec: _by_items_and_lengths,
    recbole.BERT4Rec: _by_mask,
}


def dot_orders(model: Any, tie: Tensor) -> Callable[[Any], ItemOrder] | None:
    """What gives a batch its orders by tiles; None for another model, one on a GPU, or a catalogue of one tile.

    Args:
        model: RecBole's.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
    """
    sequences = SEQUENCES.get(type(model))
    if sequences is None or model.n_items - 1 <= TILE or model.item_embedding.weight.device.type != "cpu":
        return None

    def ordered(batch: Any) -> ItemOrder:
        weights, bias = model.item_embedding.weight[1 : model.n_items], getattr(model, "output_bias", None)
        core = isinstance(model, recbole.CORE)
        temperature = float(model.temperature) if core else 1.0
        unit = core or getattr(model, "cosine", False)
        table = DotTable(weights, tie, None if bias is None else bias[1 : model.n_items], temperature, unit)
        return ScoredOrder(table, sequences(model, batch))

    return ordered
