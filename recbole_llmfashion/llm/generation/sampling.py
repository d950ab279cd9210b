"""Sampling with `model.generate` as in the paper (section 5.1), independent of the model's own generation settings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig
from transformers.generation.streamers import BaseStreamer

from recbole_llmfashion.llm.modeling.adapter import causal_lm


def generation_config(
    max_new_tokens: int, temperature: float, top_p: float, eos_id: int, pad_id: int
) -> GenerationConfig:
    """Sets every field that sampling reads, so that the model's generation_config.json has no effect."""
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        min_new_tokens=0,
        do_sample=True,
        temperature=temperature,
        top_p=top_p,
        top_k=0,
        typical_p=1.0,
        epsilon_cutoff=0.0,
        eta_cutoff=0.0,
        num_beams=1,
        num_return_sequences=1,
        repetition_penalty=1.0,
        encoder_repetition_penalty=1.0,
        length_penalty=1.0,
        no_repeat_ngram_size=0,
        encoder_no_repeat_ngram_size=0,
        remove_invalid_values=False,
        renormalize_logits=False,
        use_cache=True,
        return_dict_in_generate=False,
        output_scores=False,
        eos_token_id=eos_id,
        pad_token_id=pad_id,
    )


@contextmanager
def own_config(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Replaces the model's generation_config: `generate` takes fields that are None from it, such as suppress_tokens.

    The model is in eval mode inside; its config and its mode are restored.
    """
    lm = causal_lm(model)
    original, was_training = lm.generation_config, model.training
    lm.generation_config = config
    model.eval()
    try:
        yield
    finally:
        lm.generation_config = original
        model.train(was_training)


class TokenStreamer(BaseStreamer):
    """Streamer for `generate` that passes on the tokens generated for the first prompt of a batch.

    Args:
        on_tokens: called after each token with int64 [t], the tokens generated so far without the prompt.
    """

    def __init__(self, on_tokens: Callable[[np.ndarray], None]) -> None:
        self._on_tokens = on_tokens
        self._tokens: list[int] | None = None  # None before the prompts were received

    def put(self, value: torch.Tensor) -> None:
        """Receives the prompts [B, P] first, then the next token of each, [B]."""
        if self._tokens is None:
            self._tokens = []
            return
        self._tokens.append(int(value.flatten()[0]))
        self._on_tokens(np.asarray(self._tokens, np.int64))

    def end(self) -> None:
        """Does nothing: every token was passed on at once."""
