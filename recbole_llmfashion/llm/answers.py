"""Responses by prompt: what a stage generated once, and a generator for what it did not.

A prompt is known by the digest of its token ids, so the same prompt has the same answer wherever it comes from. The
book does not know what a response means.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

Generate = Callable[[Sequence[np.ndarray]], list[str]]


def prompt_key(prompt: np.ndarray) -> str:
    """Digest of a prompt's token ids."""
    return hashlib.sha256(np.ascontiguousarray(prompt, np.int32).tobytes()).hexdigest()


class AnswerBook:
    """Callable: prompts to responses.

    Args:
        generate: makes the responses that are missing; called only when one is.
        remember: whether those are kept; a process that answers strangers for weeks keeps none.
    """

    def __init__(self, generate: Generate, remember: bool = True) -> None:
        self._generate, self._remember = generate, remember
        self._known: dict[str, str] = {}

    def __call__(self, prompts: Sequence[np.ndarray]) -> list[str]:
        keys = [prompt_key(prompt) for prompt in prompts]
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._known}
        made = dict(zip(missing, self._generate(list(missing.values())), strict=True)) if missing else {}
        if self._remember:
            self._known.update(made)
        return [made[key] if key in made else self._known[key] for key in keys]

    def load(self, folder: Path) -> None:
        """Takes over the responses of a stage."""
        frame = pd.read_parquet(folder / "responses.parquet")
        self._known.update(zip(frame["prompt"], frame["response"], strict=True))

    def write(self, prompts: Sequence[np.ndarray], folder: Path) -> None:
        """Generates for these prompts and writes responses.parquet: prompt (digest), response."""
        distinct = {prompt_key(prompt): prompt for prompt in prompts}
        _write(dict(zip(distinct, self._generate(list(distinct.values())), strict=True)), folder)

    def save(self, folder: Path) -> None:
        """Writes all that is known, as `write` does."""
        _write(dict(sorted(self._known.items())), folder)


def _write(responses: dict[str, str], folder: Path) -> None:
    frame = pd.DataFrame({"prompt": list(responses), "response": list(responses.values())}, dtype=object)
    frame.to_parquet(folder / "responses.parquet", index=False)
