"""Prefill and incremental forwards of a causal LM for a batch of prompts; a shared prefix is computed once."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import left_pad
from recbole_llmfashion.llm.generation.decoding_step import DecodingStep
from recbole_llmfashion.llm.generation.kv_cache import join, preallocate
from recbole_llmfashion.llm.generation.masks import additive, causal
from recbole_llmfashion.llm.modeling.abilities import cache_argument, has_full_attention, takes_explicit_positions
from recbole_llmfashion.llm.modeling.adapter import causal_lm

# on a CPU the prefill of a batch runs in parts of this size, which saves padding and fits the processor caches better
PART = 16


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


class PromptBatch:
    """A batch of prompts with their cache; the constructor runs the prefill.

    Args:
        lm: the model.
        shared: the cache of the shared prefix.
        prompts: B prompts without that prefix, at least one token each.
        room: maximum number of tokens that will be fed to a row.

    Attributes:
        logits: [B, V] after the prompts.
    """

    def __init__(self, lm: CausalLMRunner, shared: DynamicCache, prompts: Sequence[np.ndarray], room: int) -> None:
        self.lm = lm
        prefix = shared.get_seq_length()
        self.length = prefix + max(map(len, prompts))
        self._mask = torch.ones(len(prompts), self.length + room, dtype=torch.long, device=lm.device)
        self._mask[:, prefix : self.length] = 0
        lengths = torch.tensor([[len(prompt)] for prompt in prompts], device=lm.device)
        self._next = prefix + lengths
        size = PART if lm.full and lm.device.type == "cpu" else len(prompts)
        caches, logits = [], []
        for start in range(0, len(prompts), size):
            part = prompts[start : start + size]
            width = max(map(len, part))
            ids, inside = (array.to(lm.device) for array in left_pad(part, lm.pad_id))
            self._mask[start : start + size, self.length - width : self.length] = inside
            caches.append(preallocate(shared, prefix + width + (room if size >= len(prompts) else 0)))
            positions = (prefix - 1 + inside.cumsum(1)).clamp(min=0)
            seen = torch.cat([inside.new_ones(len(part), prefix), inside], 1)
            mask = causal(seen, width, shared.layers[0].keys.dtype) if lm.explicit and prefix else seen
            logits.append(lm.forward(ids, mask, positions, caches[-1], 1)[:, 0])
        self._cache = caches[0] if len(caches) == 1 else join(caches, prefix, self.length, self.length + room)
        self.logits = torch.cat(logits)
        self._step: DecodingStep | None = None

    def __len__(self) -> int:
        return len(self._mask)

    def feed(self, tokens: Tensor) -> Tensor:
        """Appends tokens int64 [B, T] to each row and returns the logits [B, V] after the last of them.

        With `lm.cuda_graphs` neither `keep` nor `branch` may be called afterwards.
        """
        if self.lm.cuda_graphs:
            return self._replay(tokens)
        steps = tokens.shape[1]
        positions = self._next + torch.arange(steps, device=tokens.device)
        self.length += steps
        self._next = self._next + steps
        mask = self._mask[:, : self.length]
        if self.lm.explicit:
            mask = causal(mask, steps, self._cache.layers[0].keys.dtype)
        return self.lm.forward(tokens, mask, positions, self._cache, 1)[:, 0]

    def _replay(self, tokens: Tensor) -> Tensor:
        """`feed` token by token, in steps that a CUDA graph repeats."""
        if self._step is None:
            self._step = DecodingStep(self.lm, self._cache, self._mask, self._next)
        for token in tokens.split(1, 1):
            logits = self._step(token)
        return logits

    def keep(self, rows: Tensor) -> None:
        """Removes all rows except these, int64 [B']."""
        self._cache.batch_select_indices(rows)
        self._mask, self._next = self._mask[rows], self._next[rows]

    def branch(self, tokens: Tensor, above: Tensor) -> Tensor:
        """Appends one level of tokens to each row's tree of continuations (tree attention).

        The tokens of the tree follow the prompt. Each attends to the prompt, its ancestors and itself, so the prompt's
        keys and values are not copied for each branch. `feed` must not be called afterwards.

        Args:
            tokens: int64 [B, W], the tokens of this level.
            above: bool [B, W, C], which of the C tree tokens so far are ancestors.

        Returns:
            logits [B, W, V] after each token.

        Raises:
            UserError: the model takes no explicit positions (ALiBi, Bloom), or has sliding windows.
        """
        if not self.lm.explicit:
            raise UserError(
                "llm_name_or_path: beam search needs a model with rotary or learned positions and full attention; set "
                "num_beams: 0 or name another backbone"
            )
        rows, width, tree_tokens = above.shape
        prompt = self._mask[:, None, : self.length - tree_tokens].bool().expand(-1, width, -1)
        itself = torch.eye(width, dtype=torch.bool, device=tokens.device).expand(rows, -1, -1)
        seen = torch.cat([prompt, above, itself], 2)[:, None]
        positions = self._next + above.sum(2)
        self.length += width
        return self.lm.forward(tokens, additive(seen, self._cache.layers[0].keys.dtype), positions, self._cache, width)
