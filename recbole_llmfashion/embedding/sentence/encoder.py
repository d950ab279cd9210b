"""A frozen sentence encoder: transformers' model, the pooling of its own config, unit length."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer

from recbole_llmfashion.embedding.encode import encode_distinct
from recbole_llmfashion.embedding.sentence.folder import EncoderFolder, read_encoder_folder
from recbole_llmfashion.errors import UserError

BATCH = 64  # texts
_POOLER = "pooler."  # weights that no pooling here reads; a sentence encoder is often saved without them


class SentenceEncoder:
    """Encodes texts into unit vectors; create it with `load_encoder`.

    Args:
        folder: of the encoder.
        model, tokenizer: as transformers loads them.
    """

    def __init__(self, folder: EncoderFolder, model: Any, tokenizer: Any) -> None:
        self.source, self.sha256 = folder.source, folder.sha256
        self._folder, self._model, self._tokenizer = folder, model, tokenizer
        lengths = (
            folder.max_length,
            tokenizer.model_max_length,
            getattr(model.config, "max_position_embeddings", None),
        )
        self._max_length = min(int(length) for length in lengths if length)
        self.width = self._embed(["text"]).shape[1]

    def encode(self, texts: Sequence[str], show_progress: bool = False) -> np.ndarray:
        """n texts -> [n, d] float32 unit rows, each distinct text encoded once; a text without tokens is a row of 0."""
        return encode_distinct(texts, self._embed, self.width, BATCH, show_progress, "sentence embeddings", delay=2)

    @torch.inference_mode()
    def _embed(self, texts: Sequence[str]) -> Tensor:
        if self._folder.lower_case:
            texts = [text.lower() for text in texts]
        inputs = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._max_length, return_tensors="pt"
        )
        mask = inputs["attention_mask"].to(self._model.device)
        if not mask.shape[1]:
            return torch.zeros(len(texts), self.width)
        states = self._model(input_ids=inputs["input_ids"].to(mask.device), attention_mask=mask).last_hidden_state
        return normalize(pooled(states.float(), mask, self._folder.pooling), dim=1)


def pooled(states: Tensor, mask: Tensor, pooling: Sequence[str]) -> Tensor:
    """[B, d * parts] vectors of texts.

    Args:
        states: [B, L, d] of the last layer.
        mask: [B, L] 1 for a token, 0 for padding.
        pooling: names of `folder.POOLINGS`.

    >>> states = torch.tensor([[[1.0, 2.0], [3.0, 0.0], [9.0, 9.0]]])
    >>> pooled(states, torch.tensor([[1, 1, 0]]), ["mean", "max"]).tolist()
    [[2.0, 1.0, 3.0, 2.0]]
    """
    rows, places = torch.arange(len(states), device=mask.device), torch.arange(1, mask.shape[1] + 1, device=mask.device)
    valid = mask.bool()[:, :, None]
    counts = mask.sum(dim=1, keepdim=True).clamp(min=1)
    total = (states * valid).sum(dim=1)
    weights = (mask * places).to(states.dtype)
    parts = {
        "cls": lambda: states[rows, mask.argmax(dim=1)],
        "max": lambda: states.masked_fill(~valid, -torch.inf).amax(dim=1).nan_to_num(neginf=0.0),
        "mean": lambda: total / counts,
        "mean_sqrt_len_tokens": lambda: total / counts.sqrt(),
        "weightedmean": lambda: (states * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1),
        "lasttoken": lambda: states[rows, (mask * places).argmax(dim=1)],
    }
    return torch.cat([parts[name]() for name in pooling], dim=1)


def load_encoder(name: str, key: str) -> SentenceEncoder:
    """Loads a sentence encoder and encodes a text with it; the encoders of a process are kept.

    Args:
        name: `minilm`, a folder, or a hub name, which alone needs the network.
        key: which names it, for messages.

    Raises:
        UserError: it cannot be loaded, or it is not an encoder of texts.
    """
    folder = read_encoder_folder(name, key)
    try:
        return _loaded(folder)
    except Exception as error:  # transformers, tokenizers, safetensors and torch each raise their own kinds
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise UserError(
            f"{key}: {name} cannot encode texts ({reason}); name minilm, or a folder that sentence-transformers wrote"
        ) from error


@lru_cache(maxsize=2)
def _loaded(folder: EncoderFolder) -> SentenceEncoder:
    path = str(folder.transformer)
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model, loading = AutoModel.from_pretrained(
        path, trust_remote_code=False, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    missing = sorted(one for one in loading["missing_keys"] if _POOLER not in one)
    if missing:
        raise ValueError(f"its weights lack {missing[0]}")
    if model.config.is_encoder_decoder or model.main_input_name != "input_ids":
        raise ValueError(f"{type(model).__name__} is not an encoder of texts")
    rows = model.get_input_embeddings().weight.shape[0]
    if max(tokenizer.get_vocab().values(), default=0) >= rows:
        raise ValueError(f"its tokenizer has more than the {rows} ids of its model")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return SentenceEncoder(folder, model.float().to(device).eval(), tokenizer)
