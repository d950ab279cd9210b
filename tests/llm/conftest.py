from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon, save_tiny_falcon, train_tokenizer

MARK, ASK, EOS = 2, 3, 1
TEXTS = ["clicked product ID: B123456, title: blue ankle boots\n", "search red sandals for summer\n"] * 3


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return train_tokenizer(TEXTS, 320)


@pytest.fixture(scope="session")
def folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Falcon of four layers and width 32."""
    path = tmp_path_factory.mktemp("embedded")
    save_tiny_falcon(new_tiny_falcon(len(tokenizer), 32, 4, 2, seed=0), tokenizer, path)
    return path


@pytest.fixture
def nf4(folder: Path) -> Backbone:
    return load_backbone(str(folder), "nf4", device="cpu")


@pytest.fixture
def plain(folder: Path) -> Backbone:
    return load_backbone(str(folder), "none", device="cpu")


@pytest.fixture
def random_examples(tokenizer: Any) -> Callable[[int, int], list[Example]]:
    """(how many, seed) -> prompts of 3 to 20 random tokens with responses of 2 to 5."""

    def make(n: int, seed: int) -> list[Example]:
        rng = np.random.default_rng(seed)
        draw = lambda low, high: rng.integers(2, len(tokenizer), rng.integers(low, high)).astype(np.int32)  # noqa: E731
        return [Example(draw(3, 21), np.r_[draw(1, 5), 1].astype(np.int32)) for _ in range(n)]

    return make


def _ids_in_prompts(n: int, seed: int, vocabulary: int, places: int, shuffled: bool = False) -> list[Example]:
    """Prompts of noise in which a mark precedes an ID of two tokens; the response is that ID, or another prompt's.

    The mark is at one of `places` positions.
    """
    rng = np.random.default_rng(seed)
    prompts = rng.integers(4, vocabulary, (n, places + 3)).astype(np.int32)
    at = rng.integers(0, places, n)
    prompts[np.arange(n), at] = MARK
    responses = np.stack([prompts[np.arange(n), at + 1], prompts[np.arange(n), at + 2]], 1)
    if shuffled:
        responses = responses[rng.permutation(n)]
    prompts[:, -1] = ASK
    return [Example(p, np.r_[r, EOS].astype(np.int32)) for p, r in zip(prompts, responses, strict=True)]


@pytest.fixture(scope="session")
def ids_in_prompts() -> Callable[..., list[Example]]:
    return _ids_in_prompts
