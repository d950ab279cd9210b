"""The forwards of a causal LM that decoding needs, with a cache of keys and values."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from recbole_llmfashion.llm.modeling.abilities import cache_argument, has_full_attention, takes_explicit_positions
from recbole_llmfashion.llm.modeling.adapter import causal_lm


def common_prefix(prompts: Sequence[np.ndarray]) -> int:
    """Length of the prefix that all prompts share, at most one less than the length of the shortest.

    >>> common_prefix([np.array([1, 2, 3]), np.array([1, 2, 4, 5])])
    2
    """
    limit = min(map(len, prompts), default=1) - 1
    if limit < 1:
        return 0
    heads = np.stack([prompt[:limit] for prompt in prompts])
    same = (heads == heads[0]).all(0)
    return limit if same.all() else int(same.argmin())


class CausalLMRunner:
    """A causal LM with the forward calls that decoding needs.

    Args:
        model: a causal LM of transformers or a peft model around one; in eval mode when it is called.
        pad_id: token id of padding.

    Attributes:
        full: whether all layers have full attention, without a sliding window.
        explicit: whether positions and attention masks can be given explicitly, as tree attention needs.
        cuda_graphs: whether `PromptBatch.feed` replays a CUDA graph; needs a model that is `explicit`.
    """

    def __init__(self, model: Any, pad_id: int) -> None:
        self.model, self.pad_id = model, pad_id
        base = causal_lm(model)
        self.config = base.config
        takes = inspect.signature(base.forward).parameters
        self._keeps, self.takes_positions = "logits_to_keep" in takes, "position_ids" in takes
        self._cache = cache_argument(base.forward)
        self.device = next(model.parameters()).device
        self.full = has_full_attention(self.config)
        self.explicit = takes_explicit_positions(self.config, base.forward)
        self.cuda_graphs = False

    def shareable(self, prompts: Sequence[np.ndarray]) -> int:
        """Length of the prefix of all prompts that can be computed once; 0 for a model with sliding windows.

        There is padding between the shared prefix and the rest of a short prompt, and a sliding window would count it.
        """
        return common_prefix(prompts) if self.full else 0

    def forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache, keep: int) -> Tensor:
        """Logits [B, keep, V] of the last `keep` tokens of ids int64 [B, T]; the tokens are appended to the cache."""
        extra: dict[str, Any] = {self._cache: cache} | ({"logits_to_keep": keep} if self._keeps else {})
        if self.takes_positions:
            extra["position_ids"] = positions
        output = self.model(input_ids=ids, attention_mask=mask, use_cache=True, **extra)
        return output.logits[:, -keep:]

    def share(self, prefix: np.ndarray) -> DynamicCache:
        """The cache of a shared prefix, int [P]; empty for P = 0."""
        cache = DynamicCache(config=self.config)
        if len(prefix):
            ids = torch.from_numpy(prefix.astype(np.int64)).to(self.device)[None]
            self.forward(ids, torch.ones_like(ids), torch.arange(len(prefix), device=self.device)[None], cache, 1)
        return cache
