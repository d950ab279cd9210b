"""A sentence encoder of a few thousand weights, in the layout of sentence-transformers."""

import json
import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

MEAN = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
MODULES = ["Transformer", "Pooling", "Normalize"]
PATHS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
WORDS = ("red", "blue", "black", "white", "winter", "boots", "sandals", "socks", "title")


def save_tokenizer(folder: Path) -> int:
    """Letters, and words that are one token; returns their number."""
    letters = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters), *WORDS]
    tokenizer = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    return len(pieces)


def save_encoder(
    folder: Path, pooling: dict[str, Any] | None = MEAN, modules: list[str] | None = MODULES, seed: int = 0
) -> Path:
    """A Bert of width 32 with random weights; the mean of its states tells words apart.

    Args:
        pooling: the pooling config; None for none.
        modules: kinds in modules.json; None for no such file.
    """
    folder.mkdir(parents=True)
    size = save_tokenizer(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=64, initializer_range=0.2,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
    if modules is not None:
        listed = [{"type": f"sentence_transformers.models.{kind}", "path": PATHS.get(kind, "3")} for kind in modules]
        (folder / "modules.json").write_text(json.dumps(listed))
    return folder
