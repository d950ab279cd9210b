"""Sampling as in the paper (section 5.1): the settings that `model.generate` reads, all of them and nobody else's."""

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
    """Every setting that sampling reads, so that a model's own generation_config.json decides nothing."""
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
    """Takes the model's own settings away: `generate` fills whatever is None from them (suppress_tokens, for one)."""
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
    """What `generate` says so far to the first prompt of a batch, passed on token by token.

    Args:
        on_text: told int64 [t], the tokens so far, without the prompt's.
    """

    def __init__(self, on_text: Callable[[np.ndarray], None]) -> None:
        self._on_text = on_text
        self._said: list[int] | None = None

    def put(self, value: torch.Tensor) -> None:
        """The prompts [B, P] the first time, then the next token [B] of each."""
        if self._said is None:
            self._said = []
            return
        self._said.append(int(value.flatten()[0]))
        self._on_text(np.asarray(self._said, np.int64))

    def end(self) -> None:
        """Nothing is held back, so nothing is left to be told."""
