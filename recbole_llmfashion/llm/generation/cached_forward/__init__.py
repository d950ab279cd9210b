"""Forwards with a cache of keys and values: the prefill of a batch, and one token after another."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
    from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
else:
    __getattr__ = lazy_names(__name__, {"causal_lm": "CausalLMRunner", "prefill": "PromptBatch"})

__all__ = ["CausalLMRunner", "PromptBatch"]
