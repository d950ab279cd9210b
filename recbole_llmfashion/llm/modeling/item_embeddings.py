"""Embeddings of an item index's new tokens, made from the words of the items that hold them.

    row = norm * unit(mean over the token's items of unit(sum over the item's words w of idf(w) * e(w)))
    idf(w) = log((N + 1) / (items with w + 1)) + 0.1

e is the backbone's own embedding, so a row lies where the words of a query lie, and a new item has one without
training. The embedded backbone was pre-trained with such rows in worlds of other items (pretrain.py); others have
learned nothing of them and begin here all the same. Knows token ids, no text.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recbole_llmfashion.llm.modeling.adapter import causal_lm, row_layers
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.prompt.item_tokens import ItemTokens

NORM_FILE = "item_rows.json"
LEAST_IDF = 0.1


class ItemWords:
    """Which words each item has, and how much each of them counts.

    Args:
        words: by item, the token ids of its text; repeated ones count once, an item may have none.
        vocab_size: ids are below it.
    """

    def __init__(self, words: Sequence[np.ndarray], vocab_size: int) -> None:
        distinct = [np.unique(ids).astype(np.int64) for ids in words]
        flat = np.concatenate([*distinct, np.zeros(0, np.int64)])
        lengths = np.asarray([len(ids) for ids in distinct], np.int64)
        holders = np.bincount(flat, minlength=vocab_size)
        idf = np.log((len(words) + 1) / (holders + 1)) + LEAST_IDF
        self._flat = torch.from_numpy(flat)
        self._starts = torch.from_numpy(np.r_[0, np.cumsum(lengths)[:-1]].astype(np.int64))
        self._weights = torch.from_numpy(idf[flat].astype(np.float32))

    def units(self, embedding: Tensor) -> Tensor:
        """[N, d] unit vectors of the items' weighted words, differentiable; zeros for an item without words.

        Args:
            embedding: [V, d].
        """
        device = embedding.device
        flat, starts = self._flat.to(device), self._starts.to(device)
        weights = self._weights.to(device, embedding.dtype)
        return F.normalize(F.embedding_bag(flat, embedding, starts, mode="sum", per_sample_weights=weights), dim=1)


def token_rows(units: Tensor, ids: Sequence[np.ndarray], first: int, new_tokens: int, norm: float) -> Tensor:
    """[new_tokens, d] the rows of an index's tokens.

    Args:
        units: [N, d] of the items.
        ids: by item, its token ids.
        first: the first new token's id.
        norm: length of every row whose items have words.
    """
    holders = np.repeat(np.arange(len(ids)), [len(tokens) for tokens in ids])
    tokens = np.concatenate([*ids, np.zeros(0, np.int64)]).astype(np.int64) - first
    rows = torch.zeros((new_tokens, units.shape[1]), dtype=units.dtype, device=units.device)
    rows.index_add_(0, torch.from_numpy(tokens).to(units.device), units[torch.from_numpy(holders).to(units.device)])
    return F.normalize(rows, dim=1) * norm


def save_norm(norm: float, folder: Path) -> None:
    """Writes the rows' length beside a backbone that was trained with it."""
    (folder / NORM_FILE).write_text(json.dumps({"norm": norm}))


def row_norm(source: str, embedding: Tensor) -> float:
    """The rows' length: as the backbone's folder says, else the mean length of its embedding's rows."""
    file = Path(source) / NORM_FILE
    if file.is_file():
        return float(json.loads(file.read_text())["norm"])
    return float(embedding.norm(dim=1).mean())


def add_item_tokens(backbone: Backbone, item_tokens: ItemTokens) -> float:
    """Gives a backbone the tokens of an index, their rows made from words; `backbone` is changed.

    Args:
        backbone: freshly loaded, without an adapter.
        item_tokens: its words in the ids of the backbone's tokenizer.

    Returns:
        the rows' length, which those of items that come later have too.
    """
    model = backbone.model
    norm = row_norm(backbone.name, model.get_input_embeddings().weight[: item_tokens.first].float())
    backbone.item_tokens = range(item_tokens.first, item_tokens.first + item_tokens.new_tokens)
    set_item_embeddings(model, np.asarray(backbone.item_tokens), word_rows(model, item_tokens, norm))
    return norm


@torch.no_grad()
def word_rows(model: Any, item_tokens: ItemTokens, norm: float) -> Tensor:
    """[new_tokens, d] float32, the rows of an index's tokens as the model's own embedding of the words makes them.

    Args:
        model: a causal LM, or a peft model around one; it is read alone.
        item_tokens, norm: see `token_rows`.
    """
    embedding = model.get_input_embeddings().weight[: item_tokens.first].float()
    units = ItemWords(item_tokens.words, item_tokens.first).units(embedding)
    return token_rows(units, item_tokens.ids, item_tokens.first, item_tokens.new_tokens, norm)


@torch.no_grad()
def set_item_embeddings(model: Any, tokens: np.ndarray, rows: Tensor) -> None:
    """Writes rows into a model's vocabulary, which grows where a token lies beyond it; nothing else is changed.

    Args:
        model: a causal LM, or a peft model around one that trains no rows of tokens.
        tokens: [n] ids, every one that the vocabulary grows by among them.
        rows: [n, d].
    """
    base = causal_lm(model)
    size = int(tokens.max(initial=-1)) + 1
    if size > len(base.get_input_embeddings().weight):
        # the mean of the old rows, which transformers would fill the new with, costs a decomposition and is not read
        base.resize_token_embeddings(size, mean_resizing=False)
    for layer in row_layers(base).values():
        at = torch.from_numpy(tokens.astype(np.int64)).to(layer.weight.device)
        layer.weight[at] = rows.to(layer.weight.device, layer.weight.dtype)
