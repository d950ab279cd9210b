"""Initial embeddings of item tokens from behaviour: the words of an item and those of the items taken near it.

    c(i, j) = sum over pairs of i and j at most 3 places apart in a training sequence of 1 / distance
    w(i, j) = log(1 + c(i, j) * c / (c(i) * c(j)))      c(i) the sum over j, c the sum over all
    row(i) = norm * unit(unit(e(i)) + 0.5 * unit(sum over j of w(i, j) * unit(e(j))))

e(i) is the embedding computed from the item's words (llm/modeling/item_embeddings.py). An item without neighbors, a
cold one among them, keeps it. Whether these rows are better is measured by benchmarks/recipe.py.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import normalize

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.modeling.item_embeddings import set_item_embeddings

WINDOW = 3
SHARE = 0.5


def sequences(examples: Sequence[Example], first: int) -> list[np.ndarray]:
    """The items of each training prompt in order, as positions from 0: its targets, or all items of the prompt.

    Args:
        examples: prompts and responses.
        first: id of the first item token; all later ids are item tokens.
    """
    rows = []
    for example in examples:
        shown = example.prompt if example.prompt_targets is None else example.prompt[example.prompt_targets]
        tokens = np.concatenate([shown, example.response]).astype(np.int64)
        rows.append(tokens[tokens >= first] - first)
    return rows


def neighbor_weights(rows: Sequence[np.ndarray], items: int) -> sparse.csr_array:
    """w of the module's text, sparse [items, items] with an empty diagonal.

    >>> neighbor_weights([np.array([0, 1]), np.array([0, 1])], 3).toarray().round(4).tolist()  # c = 4, c(i) = 2
    [[0.0, 1.0986, 0.0], [1.0986, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    left, right, value = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for row in rows:
        for distance in range(1, min(WINDOW, len(row) - 1) + 1):
            left.append(row[:-distance])
            right.append(row[distance:])
            value.append(np.full(len(row) - distance, 1 / distance))
    pairs = np.concatenate(value), (np.concatenate(left), np.concatenate(right))
    half = sparse.coo_array(pairs, shape=(items, items)).tocsr()
    counts = (half + half.T).tocoo()
    apart = counts.row != counts.col
    first, second, common = counts.row[apart], counts.col[apart], counts.data[apart]
    totals = np.bincount(first, common, minlength=items)
    weights = np.log1p(common * totals.sum() / (totals[first] * totals[second]))
    return sparse.coo_array((weights, (first, second)), shape=(items, items)).tocsr()


def with_neighbors(rows: Tensor, weights: sparse.csr_array) -> Tensor:
    """The rows of the module's text.

    Args:
        rows: [N, d] embeddings computed from words.
        weights: sparse [N, N].
    """
    units = normalize(rows, dim=1)
    near = torch.from_numpy(weights @ units.numpy()).to(rows.dtype)
    return normalize(units + SHARE * normalize(near, dim=1), dim=1) * rows.norm(dim=1, keepdim=True)


@torch.no_grad()
def add_neighbors(model: Any, item_tokens: range, examples: Sequence[Example]) -> None:
    """Changes the item embeddings of a model without an adapter, from the examples that it will be trained on."""
    rows = model.get_input_embeddings().weight[item_tokens.start : item_tokens.stop].float().cpu()
    weights = neighbor_weights(sequences(examples, item_tokens.start), len(item_tokens))
    set_item_embeddings(model, np.asarray(item_tokens), with_neighbors(rows, weights))
