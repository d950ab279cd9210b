"""Responses by prompt: what a stage generated once, and a generator for what it did not.

A response is a text and, where beams were asked for, the likeliest items.

A prompt is known by the digest of its token ids, so the same prompt has the same answer wherever it comes from. The
book does not know what a response means.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.prompt.response import Response

Generate = Callable[[Sequence[np.ndarray]], list[Response]]


def generate_responses(
    generator: Generator,
    prompts: Sequence[np.ndarray],
    beams: int,
    show_progress: bool = False,
    on_text: Callable[[str], None] | None = None,
) -> list[Response]:
    """Texts, and the likeliest items beside them.

    Args:
        beams: items a prompt; 0 for none. A generator without a trie has none to give.
        on_text: of the generator.
    """
    if not beams or generator.trie is None:
        return [Response(text) for text in generator(prompts, show_progress, on_text)]
    items, _ = generator.best(prompts, beams, show_progress)
    if generator.at_once is not None:  # one prefill a prompt says both
        texts = [generator.at_once(item) for item in items[:, 0].tolist()]
    else:
        texts = generator(prompts, show_progress, on_text)
    return [Response(text, found[found >= 0]) for text, found in zip(texts, items, strict=True)]


def prompt_key(prompt: np.ndarray) -> str:
    """Digest of a prompt's token ids."""
    return hashlib.sha256(np.ascontiguousarray(prompt, np.int32).tobytes()).hexdigest()


class ResponseCache:
    """Callable: prompts to responses.

    Args:
        generate: makes the responses that are missing; called only when one is.
        remember: whether those are kept; a process that answers strangers for weeks keeps none.
    """

    def __init__(self, generate: Generate, remember: bool = True) -> None:
        self._generate, self._remember = generate, remember
        self._known: dict[str, Response] = {}

    def __call__(self, prompts: Sequence[np.ndarray], generate: Generate | None = None) -> list[Response]:
        """One response a prompt; `generate` makes the missing ones in place of the book's own."""
        keys = [prompt_key(prompt) for prompt in prompts]
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._known}
        generate = generate or self._generate
        made = dict(zip(missing, generate(list(missing.values())), strict=True)) if missing else {}
        if self._remember:
            self._known.update(made)
        return [made[key] if key in made else self._known[key] for key in keys]

    def load(self, folder: Path) -> None:
        """Takes over the responses of a stage."""
        frame = pd.read_parquet(folder / "responses.parquet")
        rows = zip(frame["prompt"], frame["response"], frame["items"], strict=True)
        self._known.update({key: Response(text, np.asarray(items, np.int64)) for key, text, items in rows})

    def write(self, prompts: Sequence[np.ndarray], folder: Path) -> None:
        """Generates for these prompts and writes responses.parquet: prompt (digest), response, items."""
        distinct = {prompt_key(prompt): prompt for prompt in prompts}
        _write(dict(zip(distinct, self._generate(list(distinct.values())), strict=True)), folder)

    def save(self, folder: Path) -> None:
        """Writes all that is known, as `write` does."""
        _write(dict(sorted(self._known.items())), folder)


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
