"""Small models with varied outputs, a tokenizer of numbers, generators, and recorded forwards."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import torch
from transformers import (
    FalconConfig,
    FalconForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import Generator, make_generator
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon

EOS, PAD, V = 1, 0, 300
EVEN = [[10 + a, 20 + b, 30 + c, 40, 41, 42] for a, b, c in product(range(3), range(3), range(3))]
RAGGED = [[10, 40, 41], [10, 20, 40, 41], [10, 20, 30, 40, 41], [11, 22, 40, 41], [12, 40, 41], [12, 21, 33, 40, 41]]
ATOMIC = [[60 + i, 40, 41] for i in range(25)]


class Tokens:
    """A tokenizer that decodes each token to its number."""

    eos_token_id, pad_token_id = EOS, PAD

    def __len__(self) -> int:
        return V

    @staticmethod
    def decode(ids: Sequence[int], **kwargs: Any) -> str:
        return " ".join(map(str, ids))


def lively(model: Any, seed: int = 0) -> Any:
    """Weights with which responses differ by prompt and end at different steps."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape) * 0.16)
        model.get_output_embeddings().weight[EOS] *= 2
    return model.eval()


def small_falcon() -> Any:
    """A Falcon of two layers, the same in every call."""
    return lively(new_tiny_falcon(V, 32, 2, 2, seed=0))


def _small(config: type, **extra: Any) -> Any:
    sizes = {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return config(**sizes, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None, **extra)


OTHERS: dict[str, Callable[[], Any]] = {
    "falcon of one key head, ALiBi": lambda: FalconForCausalLM(
        _small(FalconConfig, multi_query=True, alibi=True, new_decoder_architecture=False)
    ),
    "llama": lambda: LlamaForCausalLM(_small(LlamaConfig, intermediate_size=48)),
    "mistral of windows": lambda: MistralForCausalLM(
        _small(MistralConfig, intermediate_size=48, num_key_value_heads=1, sliding_window=9)
    ),
}


def prompts(n: int, begin: int = 6, seed: int = 0, longest: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    head = rng.integers(50, V, begin)
    return [np.r_[head, rng.integers(50, V, rng.integers(1, longest))].astype(np.int32) for _ in range(n)]


def ask(model: Any, sequences: Sequence[list[int]], batch_size: int = 64, steps: int = 14) -> Generator:
    settings = DecodingSettings(max_new_tokens=steps, batch_size=batch_size)
    return make_generator(model, Tokens(), settings, sequences, [])


def lookup(model: Any, sequences: Sequence[Sequence[int]], batch_size: int = 64) -> Generator:
    settings = DecodingSettings(max_new_tokens=14, batch_size=batch_size, response_title="catalogue")
    return make_generator(model, Tokens(), settings, sequences, [5, 6], [f"title {i}" for i in range(len(sequences))])


@contextmanager
def forwards(model: Any) -> Iterator[list[tuple[int, ...]]]:
    """Records the shape of each input."""
    shapes: list[tuple[int, ...]] = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        yield shapes
    finally:
        hook.remove()
