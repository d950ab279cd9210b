"""Prefill and incremental forwards for a batch of prompts; a shared prefix is computed once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import left_pad
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.cached_forward.decoding_step import DecodingStep
from recbole_llmfashion.llm.generation.cached_forward.kv_cache import join, preallocate
from recbole_llmfashion.llm.generation.cached_forward.masks import additive, causal

# on a CPU the prefill of a batch runs in parts of this size, which saves padding and fits the processor caches better
PART = 16


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
