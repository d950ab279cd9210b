"""Dropout of whole items: a training prompt without some of its items, so that an answer does not rest on one of them.

The input embedding of a dropped item token is zero; the token stays a target. Other values are not scaled up, as in
word dropout (arXiv 1512.05287), because an embedding's norm carries no count of items.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from recbole_llmfashion.llm.modeling.adapter import causal_lm


@contextmanager
def history_dropout(model: Any, item_tokens: range, rate: float) -> Iterator[None]:
    """Within the context each item token of the input is dropped with a probability.

    Args:
        model: a causal LM or a peft model around one.
        item_tokens: ids of the item tokens.
        rate: probability; with 0 no random number is drawn.
    """
    if not rate or not len(item_tokens):
        yield
        return

    def drop(_module: Any, arguments: Any, embeddings: Tensor) -> Tensor:
        ids = arguments[0]
        item = (ids >= item_tokens.start) & (ids < item_tokens.stop)
        dropped = item & (torch.rand(ids.shape, device=ids.device) < rate)
        return embeddings.masked_fill(dropped[..., None], 0.0)

    hook = causal_lm(model).get_input_embeddings().register_forward_hook(drop)
    try:
        yield
    finally:
        hook.remove()
