"""A causal LM on a batch of prompts: what they begin with is run once, then tokens are fed and logits come back.

Knows ids, masks and positions; not which token is chosen, nor why.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import left_pad
from recbole_llmfashion.llm.generation.kv_cache import join, roomy
from recbole_llmfashion.llm.modeling.adapter import causal_lm

# On a CPU the prompts of a batch are run in parts of this many, which saves padding and stays nearer to the caches.
PART = 16


def common_prefix(prompts: Sequence[np.ndarray]) -> int:
    """How many tokens all prompts begin with, at most one fewer than the shortest has."""
    limit = min(map(len, prompts), default=1) - 1
    if limit < 1:
        return 0
    heads = np.stack([prompt[:limit] for prompt in prompts])
    same = (heads == heads[0]).all(0)
    return limit if same.all() else int(same.argmin())


class CausalLMRunner:
    """What the folder asks of a model.

    Args:
        model: a causal LM of transformers or a peft model around one, in eval mode when it is asked.
        pad_id: stands where a row has no token.

    Attributes:
        full: every layer sees all that was said, none a window.
        explicit: positions and what a token sees can be told, so that a row may be a tree.
    """

    def __init__(self, model: Any, pad_id: int) -> None:
        self.model, self.pad_id = model, pad_id
        base = causal_lm(model)
        self.config = base.config
        takes = inspect.signature(base.forward).parameters
        self._keeps, self.takes_positions = "logits_to_keep" in takes, "position_ids" in takes
        self.device = next(model.parameters()).device
        self.full = all(type(layer) is DynamicLayer for layer in DynamicCache(config=self.config).layers)
        kinds = ("sdpa", "eager")
        told = self.full and self.takes_positions and getattr(self.config, "_attn_implementation", "") in kinds
        self.explicit = told and not getattr(self.config, "alibi", False)

    def shareable(self, prompts: Sequence[np.ndarray]) -> int:
        """How many tokens of all prompts can be run once: none where a layer sees a window alone.

        Padding stands between what is shared and the rest of a short prompt, and a window counts it.
        """
        return common_prefix(prompts) if self.full else 0

    def ask(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache, keep: int) -> Tensor:
        """Logits [B, keep, V] of the last tokens of ids int64 [B, T], which the cache takes in."""
        extra: dict[str, Any] = {"logits_to_keep": keep} if self._keeps else {}
        if self.takes_positions:
            extra["position_ids"] = positions
        output = self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
        return output.logits[:, -keep:]

    def share(self, prefix: np.ndarray) -> DynamicCache:
        """The cache of what prompts begin with, int [P]; empty for P = 0."""
        cache = DynamicCache(config=self.config)
        if len(prefix):
            ids = torch.from_numpy(prefix.astype(np.int64)).to(self.device)[None]
            self.ask(ids, torch.ones_like(ids), torch.arange(len(prefix), device=self.device)[None], cache, 1)
        return cache


class PromptBatch:
    """A batch of prompts within a model.

    Args:
        lm: the model.
        shared: the cache of what all prompts begin with.
        prompts: B prompts without that beginning, a token each at least.
        room: most tokens that will be fed to a row.

    Attributes:
        logits: [B, V] after the prompts.
    """

    def __init__(self, lm: CausalLMRunner, shared: DynamicCache, prompts: Sequence[np.ndarray], room: int) -> None:
        self.lm = lm
        begun = shared.get_seq_length()
        self.length = begun + max(map(len, prompts))
        self._mask = torch.ones(len(prompts), self.length + room, dtype=torch.long, device=lm.device)
        self._mask[:, begun : self.length] = 0
        lengths = torch.tensor([[len(prompt)] for prompt in prompts], device=lm.device)
        self._next = begun + lengths
        size = PART if lm.full and lm.device.type == "cpu" else len(prompts)
        caches, logits = [], []
        for start in range(0, len(prompts), size):
            part = prompts[start : start + size]
            width = max(map(len, part))
            ids, inside = (array.to(lm.device) for array in left_pad(part, lm.pad_id))
            self._mask[start : start + size, self.length - width : self.length] = inside
            caches.append(roomy(shared, begun + width + (room if size >= len(prompts) else 0)))
            positions = (begun - 1 + inside.cumsum(1)).clamp(min=0)
            seen = torch.cat([inside.new_ones(len(part), begun), inside], 1)
            mask = self._explicit(seen, width, shared) if lm.explicit and begun else seen
            logits.append(lm.ask(ids, mask, positions, caches[-1], 1)[:, 0])
        self._cache = caches[0] if len(caches) == 1 else join(caches, begun, self.length, self.length + room)
        self.logits = torch.cat(logits)

    def __len__(self) -> int:
        return len(self._mask)

    def feed(self, tokens: Tensor) -> Tensor:
        """Tokens int64 [B, T] to the logits [B, V] after the last of them."""
        steps = tokens.shape[1]
        positions = self._next + torch.arange(steps, device=tokens.device)
        self.length += steps
        self._next = self._next + steps
        mask = self._mask[:, : self.length]
        if self.lm.explicit:
            mask = self._explicit(mask, steps, self._cache)
        return self.lm.ask(tokens, mask, positions, self._cache, 1)[:, 0]

    def keep(self, rows: Tensor) -> None:
        """Forgets all but these rows, int64 [B']."""
        self._cache.batch_select_indices(rows)
        self._mask, self._next = self._mask[rows], self._next[rows]

    def branch(self, tokens: Tensor, above: Tensor) -> Tensor:
        """One more level of each row's tree of continuations.

        The tree's tokens lie behind the prompt, and each sees the prompt and its own ancestors alone, so that the
        prompt's keys and values are neither copied nor read for each branch. `feed` must not follow.

        Args:
            tokens: int64 [B, W], of this level.
            above: bool [B, W, C], which of the C tree tokens so far are ancestors.

        Returns:
            logits [B, W, V] after each.

        Raises:
            UserError: the model's positions cannot be told (ALiBi, Bloom), or it sees a window alone.
        """
        if not self.lm.explicit:
            raise UserError(
                "llm_name_or_path: beams need a model with rotary or learned positions and full attention; this one "
                "has others"
            )
        rows, width, fed = above.shape
        prompt = self._mask[:, None, : self.length - fed].bool().expand(-1, width, -1)
        own = torch.eye(width, dtype=torch.bool, device=tokens.device).expand(rows, -1, -1)
        seen = torch.cat([prompt, above, own], 2)[:, None]
        positions = self._next + above.sum(2)
        self.length += width
        return self.lm.ask(tokens, self._additive(seen, self._cache), positions, self._cache, width)

    @classmethod
    def _explicit(cls, mask: Tensor, steps: int, cache: DynamicCache) -> Tensor:
        """What the last `steps` tokens see of all, int64 [B, T] to [B, 1, steps, T]; else each layer makes it anew."""
        seen = mask[:, None, None].bool()
        if steps > 1:
            length = mask.shape[1]
            seen = seen & torch.ones(steps, length, dtype=torch.bool, device=mask.device).tril(length - steps)
        return cls._additive(seen, cache)

    @staticmethod
    def _additive(seen: Tensor, cache: DynamicCache) -> Tensor:
        """Of the keys' type: sdpa and eager attention both add it."""
        dtype = cache.layers[0].keys.dtype
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)
