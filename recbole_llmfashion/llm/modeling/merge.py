"""Merges an adapter into its backbone, W + lora_alpha / lora_r * B A, and saves a model without peft or bitsandbytes.

Quantized weights are dequantized first, because the adapter was trained on their dequantized values. The folder has the
dtype that the backbone was loaded in; in bf16 or fp16 the sum is rounded, which can lose small changes of the adapter.
"""

from pathlib import Path

from recbole_llmfashion.llm.modeling.adapter import load_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone


def merge_adapter(backbone: Backbone, adapter: Path, folder: Path) -> None:
    """Writes config, safetensors and tokenizer of the merged model; `backbone` must not be used afterwards.

    Args:
        backbone: freshly loaded, without an adapter.
        adapter: folder written by save_adapter.
        folder: output folder.

    Raises:
        UserError: the folder has no adapter, or one of another backbone.
    """
    if backbone.quantized_layers:
        backbone.model = backbone.model.dequantize(backbone.model.dtype)
        backbone.quantized_layers = 0
    merged = load_adapter(backbone, adapter).merge_and_unload(safe_merge=True)
    merged.save_pretrained(str(folder))
    backbone.tokenizer.save_pretrained(str(folder))
