"""Initial embeddings of item tokens, computed from the words of the items that have the token.

    row = norm * unit(mean over the token's items of unit(sum over the item's words w of idf(w) * e(w)))
    idf(w) = log((N + 1) / (number of items with w + 1)) + 0.1

e is the backbone's embedding, so an item's row is close to the rows of its words, and a new item has a row without
training. tiny-falcon was pre-trained with such rows for items of simulated shops (llm/pretraining); other backbones
were not, and fine-tuning starts from the same initial rows.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.llm.modeling.adapter import causal_lm, row_layers
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.prompt.item_tokens import ItemTokens

NORM_FILE = "item_rows.json"
LEAST_IDF = 0.1


class ItemWords:
    """The words of each item with their idf weights.

    Args:
        words: for each item, the token ids of its text; repeated ids count once, an item may have none.
        vocab_size: all ids are below it.
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
        """Unit vectors of the weighted sums of the items' words, differentiable.

        Args:
            embedding: [V, d].

        Returns:
            [N, d]; a row of zeros for an item without words.
        """
        device = embedding.device
        flat, starts = self._flat.to(device), self._starts.to(device)
        weights = self._weights.to(device, embedding.dtype)
        return F.normalize(F.embedding_bag(flat, embedding, starts, mode="sum", per_sample_weights=weights), dim=1)


def token_rows(units: Tensor, ids: Sequence[np.ndarray], first: int, new_tokens: int, norm: float) -> Tensor:
    """Embeddings of item tokens.

    Args:
        units: [N, d] unit vectors of the items.
        ids: for each item, the ids of its tokens.
        first: id of the first item token.
        new_tokens: number of item tokens.
        norm: norm of every row whose items have words.

    Returns:
        [new_tokens, d].
    """
    holders = np.repeat(np.arange(len(ids)), [len(tokens) for tokens in ids])
    tokens = np.concatenate([*ids, np.zeros(0, np.int64)]).astype(np.int64) - first
    rows = torch.zeros((new_tokens, units.shape[1]), dtype=units.dtype, device=units.device)
    rows.index_add_(0, torch.from_numpy(tokens).to(units.device), units[torch.from_numpy(holders).to(units.device)])
    return F.normalize(rows, dim=1) * norm


def save_norm(norm: float, folder: Path) -> None:
    """Writes the norm of item embeddings to the folder of a backbone that was pre-trained with it."""
    (folder / NORM_FILE).write_text(json.dumps({"norm": norm}))


def read_norm(source: str) -> float | None:
    """The norm of item embeddings in a backbone's folder; None if it is no folder or has no such file.

    Raises:
        UserError: the file cannot be read, or has another form.
    """
    file = Path(source) / NORM_FILE
    if not file.is_file():
        return None
    try:
        norm = float(parse_json(file.read_text(encoding="utf-8"))["norm"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file}: cannot be read as the norm of a backbone's item embeddings ({error})") from error
    if not 0 < norm < math.inf:
        raise UserError(f"{file}: expected a norm above 0, found '{norm}'")
    return norm


def row_norm(source: str, embedding: Tensor) -> float:
    """The norm of item embeddings: from the backbone's folder, else the mean norm of the embedding's rows [V, d]."""
    norm = read_norm(source)
    return float(embedding.norm(dim=1).mean()) if norm is None else norm


def add_item_tokens(backbone: Backbone, item_tokens: ItemTokens) -> float:
    """Adds item tokens to a backbone, with embeddings computed from words; changes `backbone`.

    Args:
        backbone: freshly loaded, without an adapter.
        item_tokens: its words are ids of the backbone's tokenizer.

    Returns:
        the norm of the rows, which items added later have too.
    """
    model = backbone.model
    norm = row_norm(backbone.name, model.get_input_embeddings().weight[: item_tokens.first].float())
    backbone.item_tokens = range(item_tokens.first, item_tokens.first + item_tokens.new_tokens)
    set_item_embeddings(model, np.asarray(backbone.item_tokens), word_rows(model, item_tokens, norm))
    return norm


@torch.no_grad()
def word_rows(model: Any, item_tokens: ItemTokens, norm: float) -> Tensor:
    """Embeddings of item tokens from the model's embeddings of their words.

    Args:
        model: a causal LM or a peft model around one; not changed.
        item_tokens: the items' tokens and words.
        norm: see `token_rows`.

    Returns:
        float32 [new_tokens, d].
    """
    embedding = model.get_input_embeddings().weight[: item_tokens.first].float()
    units = ItemWords(item_tokens.words, item_tokens.first).units(embedding)
    return token_rows(units, item_tokens.ids, item_tokens.first, item_tokens.new_tokens, norm)


@torch.no_grad()
def set_item_embeddings(model: Any, tokens: np.ndarray, rows: Tensor) -> None:
    """Writes rows into a model's embedding and head, which are enlarged for tokens beyond the vocabulary.

    Args:
        model: a causal LM, or a peft model around one without trainable token rows.
        tokens: int [n] token ids, including all ids that the vocabulary grows by.
        rows: [n, d].
    """
    base = causal_lm(model)
    size = int(tokens.max(initial=-1)) + 1
    if size > len(base.get_input_embeddings().weight):
        # mean_resizing would compute a matrix decomposition for initial values that are overwritten below
        base.resize_token_embeddings(size, mean_resizing=False)
    for layer in row_layers(base).values():
        at = torch.from_numpy(tokens.astype(np.int64)).to(layer.weight.device)
        layer.weight[at] = rows.to(layer.weight.device, layer.weight.dtype)
