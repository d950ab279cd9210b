"""Backbones, quantization, LoRA adapters and item embeddings."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.modeling.adapter import load_adapter, new_adapter, save_adapter
    from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
    from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens, set_item_embeddings
    from recbole_llmfashion.llm.modeling.merge import merge_adapter
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "adapter": "load_adapter new_adapter save_adapter",
            "backbone": "Backbone load_backbone",
            "item_embeddings": "add_item_tokens set_item_embeddings",
            "merge": "merge_adapter",
        },
    )

__all__ = [
    "Backbone",
    "add_item_tokens",
    "load_adapter",
    "load_backbone",
    "merge_adapter",
    "new_adapter",
    "save_adapter",
    "set_item_embeddings",
]
