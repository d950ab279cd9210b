"""LoRA's and Falcon's layers by faster equivalents, as contexts around a forward and its backward."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.layers.falcon import fused_falcon
    from recbole_llmfashion.llm.layers.fused_lora import fast_lora
else:
    __getattr__ = lazy_names(__name__, {"falcon": "fused_falcon", "fused_lora": "fast_lora"})

__all__ = ["fast_lora", "fused_falcon"]
