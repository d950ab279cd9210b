"""The shared prefix of prompts, and logits of a batch against single forwards without a cache."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner, common_prefix
from recbole_llmfashion.llm.generation.cached_forward.prefill import PART, PromptBatch
from recbole_llmfashion.llm.modeling.abilities import cache_argument
from tests.helpers.decoding import OTHERS, PAD, forwards, lively, prompts, small_falcon


@pytest.fixture(scope="module")
def falcon() -> Any:
    return small_falcon()


def logits_of(model: Any, ids: np.ndarray) -> torch.Tensor:
    """One forward without cache and padding: [V] after the last token."""
    with torch.no_grad():
        return model(torch.from_numpy(ids.astype(np.int64))[None]).logits[0, -1]


def batch_of(model: Any, data: list[np.ndarray], room: int) -> PromptBatch:
    runner = CausalLMRunner(model, PAD)
    prefix = runner.shareable(data)
    with torch.no_grad():
        return PromptBatch(runner, runner.share(data[0][:prefix]), [prompt[prefix:] for prompt in data], room)


def test_common_prefix() -> None:
    of = lambda *rows: common_prefix([np.asarray(row) for row in rows])  # noqa: E731
    assert of([1, 2, 3], [1, 2, 4]) == 2 and of([1, 2, 3]) == 2 and of([1, 2], [1, 2, 3]) == 1
    assert of([1], [1]) == 0 and of([1, 2], [2, 2]) == 0 and common_prefix([]) == 0


@pytest.mark.parametrize("count", [3, PART + 5])  # one part, and two
def test_prefill_feed_and_keep(falcon: Any, count: int) -> None:
    data = prompts(count)
    with forwards(falcon) as shapes:
        batch = batch_of(falcon, data, room=2)
    assert shapes[0] == (1, 6) and len(shapes) == 2 + (count > PART) and len(batch) == count
    torch.testing.assert_close(batch.logits, torch.stack([logits_of(falcon, p) for p in data]), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        batch.keep(torch.tensor([2, 0]))
        logits = batch.feed(torch.tensor([[70, 71], [72, 73]]))
    wanted = [logits_of(falcon, np.r_[data[2], 70, 71]), logits_of(falcon, np.r_[data[0], 72, 73])]
    torch.testing.assert_close(logits, torch.stack(wanted), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_both_names_of_the_cache_of_keys_and_values(name: str) -> None:
    """transformers 5.24 renamed the argument; each release warns of, or lacks, the other name."""
    model, data = small_falcon(), prompts(2)
    own, seen = model.forward, []
    today = cache_argument(own)

    def forward(input_ids=None, attention_mask=None, use_cache=None, position_ids=None, logits_to_keep=0, **kwargs):
        seen.extend(kwargs)
        assert list(kwargs) in ([], [name])
        given = {today: kwargs[name]} if kwargs else {}
        more = {"position_ids": position_ids, "logits_to_keep": logits_to_keep, **given}
        return own(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache, **more)

    named = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
    parameters = [p for p in inspect.signature(forward).parameters.values() if p.name != "kwargs"]
    forward.__signature__ = inspect.Signature([*parameters, named])
    model.forward = forward
    batch = batch_of(model, data, room=2)
    assert set(seen) == {name}
    torch.testing.assert_close(batch.logits, torch.stack([logits_of(model, p) for p in data]), rtol=1e-4, atol=1e-4)


def test_branch(falcon: Any) -> None:
    """A tree of two levels: tokens 70 and 71, then 80 after 70 and 81 after 71."""
    data = prompts(2)
    with torch.no_grad():
        batch = batch_of(falcon, data, room=4)
        first = batch.branch(torch.tensor([[70, 71]] * 2), torch.zeros(2, 2, 0, dtype=torch.bool))
        ancestors = torch.eye(2, dtype=torch.bool).expand(2, -1, -1)
        second = batch.branch(torch.tensor([[80, 81]] * 2), ancestors)
    for row, prompt in enumerate(data):
        for branch in range(2):
            path = np.r_[prompt, 70 + branch]
            torch.testing.assert_close(first[row, branch], logits_of(falcon, path), rtol=1e-4, atol=1e-4)
            path = np.r_[path, 80 + branch]
            torch.testing.assert_close(second[row, branch], logits_of(falcon, path), rtol=1e-4, atol=1e-4)


def test_models_without_tree_attention() -> None:
    alibi, window = (lively(OTHERS[name]()) for name in ("falcon of one key head, ALiBi", "mistral of windows"))
    assert [CausalLMRunner(model, PAD).full for model in (alibi, window)] == [True, False]
    assert CausalLMRunner(window, PAD).shareable(prompts(3)) == 0
    batch = batch_of(alibi, prompts(2), room=1)
    with pytest.raises(UserError, match="num_beams: 0"):
        batch.branch(torch.tensor([[70]] * 2), torch.zeros(2, 1, 0, dtype=torch.bool))
