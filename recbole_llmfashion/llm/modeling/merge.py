"""An adapter merged into its backbone: W + alpha / rank * B A, written as a plain folder that needs neither peft nor
bitsandbytes.

What was quantized is dequantized first, so the folder holds the weights that the adapter was trained on, in the dtype
that the backbone was loaded in. In bf16 or fp16 the sum is rounded, and an adapter's small change may lie below that.
"""

from pathlib import Path

from recbole_llmfashion.llm.modeling.adapter import load_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone


def merge_adapter(backbone: Backbone, adapter: Path, folder: Path) -> None:
    """Writes config, safetensors and tokenizer; `backbone` is used up.

    Args:
        backbone: freshly loaded, without an adapter.
        adapter: a folder of save_adapter.
        folder: an empty one.

    Raises:
        UserError: the folder holds no adapter, or one of another backbone.
    """
    if backbone.quantized_layers:
        backbone.model = backbone.model.dequantize(backbone.model.dtype)
        backbone.quantized_layers = 0
    merged = load_adapter(backbone, adapter).merge_and_unload(safe_merge=True)
    merged.save_pretrained(str(folder))
    backbone.tokenizer.save_pretrained(str(folder))
