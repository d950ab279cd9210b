"""Settings of sampling, which do not depend on the model's own, and streamed tokens."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.generation.sampling import TokenStreamer, generation_config, own_config
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon


def test_generation_config() -> None:
    config = generation_config(max_new_tokens=9, temperature=0.5, top_p=0.9, eos_id=1, pad_id=0)
    assert (config.do_sample, config.temperature, config.top_p, config.top_k) == (True, 0.5, 0.9, 0)
    assert (config.max_new_tokens, config.min_new_tokens, config.num_beams) == (9, 0, 1)
    assert (config.repetition_penalty, config.no_repeat_ngram_size) == (1.0, 0)
    assert (config.eos_token_id, config.pad_token_id, config.suppress_tokens) == (1, 0, None)


def test_own_config_is_restored() -> None:
    model: Any = new_tiny_falcon(40, 16, 1, 2, seed=0).train()
    original, config = model.generation_config, generation_config(3, 1.0, 1.0, 1, 0)

    def fail() -> None:
        with own_config(model, config):
            assert model.generation_config is config and not model.training
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert model.generation_config is original and model.training


def test_token_streamer_passes_on_the_first_row() -> None:
    received: list[list[int]] = []
    streamer = TokenStreamer(lambda tokens: received.append(tokens.tolist()))
    streamer.put(torch.tensor([[5, 6], [7, 8]]))  # the prompts
    for tokens in ([10, 20], [11, 21]):
        streamer.put(torch.tensor(tokens))
    streamer.end()
    assert received == [[10], [10, 11]]


def test_generate_streams_all_of_its_tokens() -> None:
    model: Any = new_tiny_falcon(40, 16, 1, 2, seed=0).eval()
    received = SimpleNamespace(tokens=np.zeros(0))
    config = generation_config(4, 1.0, 1.0, eos_id=1, pad_id=0)
    prompt = torch.tensor([[5, 6, 7]])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        output = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            generation_config=config,
            streamer=TokenStreamer(lambda tokens: setattr(received, "tokens", tokens)),
        )
    assert received.tokens.dtype == np.int64 and received.tokens.tolist() == output[0, 3:].tolist()
