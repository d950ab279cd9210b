"""Responses by prompt: cached ones of a stage, and a generator for the others.

A prompt is identified by the digest of its token ids, so the same prompt has the same response wherever it comes from.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.prompt.response import Response, split_constrained

Generate = Callable[[Sequence[np.ndarray]], list[Response]]


def generate_responses(
    generator: Generator,
    prompts: Sequence[np.ndarray],
    num_beams: int,
    show_progress: bool = False,
    on_text: Callable[[str], None] | None = None,
) -> list[Response]:
    """Responses to prompts, with the likeliest items where beam search is on.

    Args:
        num_beams: likeliest items per prompt; 0 for none. Sampling has none to give.
        on_text: see Generator.generate.
    """
    if not num_beams or generator.trie is None:
        return [Response(text, item=item) for text, item in generator.generate(prompts, show_progress, on_text)]
    items, _ = generator.best(prompts, num_beams, show_progress)
    if generator.at_once is not None:  # one prefill per prompt gives both
        texts = [(generator.at_once(item), item) for item in items[:, 0].tolist()]
    else:
        texts = generator.generate(prompts, show_progress, on_text)
    return [Response(text, best[best >= 0], item) for (text, item), best in zip(texts, items, strict=True)]


def prompt_key(prompt: np.ndarray) -> str:
    """Digest of a prompt's token ids."""
    return hashlib.sha256(np.ascontiguousarray(prompt, np.int32).tobytes()).hexdigest()


class ResponseCache:
    """Callable: prompts to responses, from the cache where the same prompt was answered before.

    Args:
        generate: makes the responses that are missing; called only when one is.
        remember: whether new responses are kept; a service that runs for weeks keeps none.
    """

    def __init__(self, generate: Generate, remember: bool = True) -> None:
        self._generate, self._remember = generate, remember
        self._cached: dict[str, Response] = {}

    def __call__(self, prompts: Sequence[np.ndarray], generate: Generate | None = None) -> list[Response]:
        """One response per prompt; `generate` makes the missing ones in place of the cache's own."""
        keys = [prompt_key(prompt) for prompt in prompts]
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._cached}
        generate = generate or self._generate
        new = dict(zip(missing, generate(list(missing.values())), strict=True)) if missing else {}
        if self._remember:
            self._cached.update(new)
        return [new[key] if key in new else self._cached[key] for key in keys]

    def load(self, folder: Path, position_of: Mapping[str, int] | None = None) -> None:
        """Takes over the responses of a stage or a run folder.

        Args:
            position_of: item token as responses write it -> position, where decoding was constrained; None where the
                texts were sampled.
        """
        frame = pd.read_parquet(folder / "responses.parquet")
        for key, text, items in zip(frame["prompt"], frame["response"], frame["items"], strict=True):
            item = None if position_of is None else position_of.get(split_constrained(text).item_token or "")
            self._cached[key] = Response(text, np.asarray(items, np.int64), item)

    def write(self, prompts: Sequence[np.ndarray], folder: Path) -> None:
        """Generates for these prompts and writes responses.parquet: prompt (digest), response, items."""
        distinct = {prompt_key(prompt): prompt for prompt in prompts}
        _write(dict(zip(distinct, self._generate(list(distinct.values())), strict=True)), folder)

    def save(self, folder: Path) -> None:
        """Writes all cached responses, as `write` does."""
        _write(dict(sorted(self._cached.items())), folder)


def _write(responses: dict[str, Response], folder: Path) -> None:
    frame = pd.DataFrame(
        {
            "prompt": list(responses),
            "response": [response.text for response in responses.values()],
            "items": [response.items for response in responses.values()],
        },
        dtype=object,
    )
    frame.to_parquet(folder / "responses.parquet", index=False)
