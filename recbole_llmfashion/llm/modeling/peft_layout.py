"""The files beside a saved adapter that peft and transformers look for: tokenizer, config, name of the base model."""

import json
from pathlib import Path

from recbole_llmfashion.llm.modeling.backbone import load_config, load_tokenizer

ADAPTER_CONFIG = "adapter_config.json"


def complete_adapter(folder: Path, source: str, revision: str | None, vocab_size: int | None) -> None:
    """Adds the tokenizer and config.json to the folder of an adapter, and names a base model of the hub.

    The config is the backbone's with the vocabulary of the adapter: a model is enlarged to `vocab_size` before peft
    loads the adapter, which has embeddings of item tokens.

    Args:
        folder: with adapter_config.json.
        source: the backbone, a folder or a hub name; the path of a folder is not written.
        revision: commit of a hub model; None for a folder.
        vocab_size: number of tokens with the item tokens; None without item tokens.

    Raises:
        UserError: tokenizer or config cannot be loaded.
    """
    load_tokenizer(source, revision).save_pretrained(str(folder))
    config = load_config(source, revision)
    if vocab_size is not None:
        config.get_text_config().vocab_size = vocab_size
    config.save_pretrained(str(folder))
    if not Path(source).is_dir():
        path = folder / ADAPTER_CONFIG
        named = {"base_model_name_or_path": source, "revision": revision}
        about = json.loads(path.read_text(encoding="utf-8")) | named
        path.write_text(json.dumps(about, indent=2, sort_keys=True), encoding="utf-8")
