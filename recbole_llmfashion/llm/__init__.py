"""The language model: batches of token ids, backbones and adapters, fine-tuning, generation, pre-training."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.batching import Batch, Example
else:
    __getattr__ = lazy_names(__name__, {"batching": "Batch Example"})

__all__ = ["Batch", "Example"]
