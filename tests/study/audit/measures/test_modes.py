"""What sampled responses hold of canaries: prompts end where an ID begins, as in training rows."""

from collections.abc import Sequence

import numpy as np
import pytest

from recbole_llmfashion.data.atomic.canaries import Canary, Planted
from recbole_llmfashion.pipeline.load import load_run
from recbole_llmfashion.serving.state import ServingState
from recbole_llmfashion.study.audit.measures.modes import NO_TITLES, CanaryModes
from recbole_llmfashion.study.audit.measures.sessions import Prompts

NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def state(tiny_run):
    run = load_run(tiny_run)
    return ServingState(run, run.pool, run.item_tokens)


class Parrot:
    """Says the second canary's ID, or what follows an ID too, after every prompt that ends where an ID begins."""

    def __init__(self, state: ServingState, rest: str) -> None:
        self._prefix, self._names, self._rest = state.builder.id_prefix, state.builder.item_names, rest

    def __call__(self, prompts: Sequence[np.ndarray], _: bool) -> list[str]:
        assert all(np.array_equal(ids[-len(self._prefix) :], self._prefix) for ids in prompts)
        return [f" {self._names[1]}{self._rest}" for _ in prompts]


@pytest.mark.parametrize("rest", ["", ", title: gowns"])
def test_an_id_counts_with_and_without_a_title(state, monkeypatch, rest):
    items = state.pool.catalogue.item_ids
    made = [Canary("red boots", items[i], f"title {i}", 1) for i in range(4)]
    modes = CanaryModes(Prompts(state, NOW), Planted(made[:2], made[2:], "", 1), 2, 1, False)
    monkeypatch.setattr(modes, "_sampler", lambda _: Parrot(state, rest))
    ids, titles = modes._said([modes._prompts.of_canary(one) for one in made[:2]])
    # among three: log2 3 for the one that is said; the other ties with two candidates
    assert ids.bits[1] == pytest.approx(1.585, abs=1e-3) and ids.bits[0] < 1
    assert titles.reason == (NO_TITLES if not rest else "")
