from collections.abc import Callable

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.embedded import new_embedded
from recbole_llmfashion.llm.examples import Example, left_pad
from recbole_llmfashion.llm.optimizer import linear_rate
from recbole_llmfashion.llm.pretrain import PretrainSettings, copy_batch, plan_batches, pretrain

Copying = Callable[..., list[Example]]


def share_right(model: torch.nn.Module, examples: list[Example]) -> float:
    """Share of first response tokens that the model ranks first."""
    ids, mask = left_pad([example.prompt for example in examples], 0)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    wanted = torch.tensor([int(example.response[0]) for example in examples])
    return float((logits[:, -1].argmax(-1) == wanted).float().mean())


def test_a_copy_batch_is_three_times_a_random_sequence() -> None:
    rng = np.random.default_rng(0)
    alphabet = np.arange(5, 50)
    lengths = set()
    for _ in range(200):
        batch = copy_batch(alphabet, 2, rng)
        length = batch.input_ids.shape[1] // 3
        lengths.add(length)
        first, second, third = batch.input_ids.split(length, 1)
        assert torch.equal(first, second) and torch.equal(first, third)
        assert batch.response_mask.sum(1).tolist() == [2 * length] * 2 and not batch.response_mask[:, :length].any()
        assert int(batch.input_ids.min()) >= 5
    assert (min(lengths), max(lengths)) == (10, 40)


def test_the_plan_ends_at_the_epochs_or_at_the_tokens() -> None:
    lengths = np.full(100, 10)
    plan = lambda **kw: plan_batches(lengths, PretrainSettings(batch_size=8, **kw), np.random.default_rng(0))  # noqa: E731
    assert len(plan(epochs=2.0)) == 26 and len(plan(epochs=0.5)) == 6 and len(plan(epochs=0.0)) == 0
    assert sum(len(batch) for batch in plan(epochs=1.0)) == 100
    assert sum(len(batch) for batch in plan(epochs=9.0, max_tokens=400)) in range(32, 41)
    assert len(plan(epochs=1.0, max_tokens=1)) == 1


def test_the_rate_by_hand() -> None:
    rates = [linear_rate(step, 2, 4, 8, 0.2) for step in range(9)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_same_seed_same_weights(ids_in_prompts: Copying) -> None:
    settings = PretrainSettings(copy_steps=3, copy_batch_size=2, epochs=1, batch_size=4, warmup_steps=2, seed=3)
    models = [new_embedded(40, 16, 1, 2, seed=0) for _ in range(3)]
    corpus = ids_in_prompts(12, 0, 40, 3)
    logs = [pretrain(model, corpus, settings, show_progress=False) for model in models[:2]]
    assert [log.pop("seconds") >= 0 for log in logs] == [True, True] and logs[0] == logs[1]
    assert logs[0]["steps"] == 6 and logs[0]["tokens"] > 12 * 9
    for one, two, fresh in zip(*(m.parameters() for m in models), strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, fresh)


def test_a_loss_that_is_not_finite_stops() -> None:
    model = new_embedded(40, 16, 1, 2, seed=0)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(torch.nan)
    with pytest.raises(UserError, match="loss is nan at step 1"):
        pretrain(model, [], PretrainSettings(copy_steps=2), show_progress=False)


@pytest.mark.parametrize("shuffled", [False, True])
def test_learns_to_copy_an_id_and_stays_low_on_shuffled_responses(shuffled: bool, ids_in_prompts: Copying) -> None:
    model = new_embedded(24, 32, 2, 2, seed=0)
    settings = PretrainSettings(
        copy_steps=0, epochs=4, batch_size=64, learning_rate=1e-2, warmup_steps=10, weight_decay=0.01, seed=1
    )
    log = pretrain(model, ids_in_prompts(1500, 1, 24, 1, shuffled), settings, show_progress=False)
    right = share_right(model, ids_in_prompts(300, 2, 24, 1))
    if shuffled:
        assert right < 0.15  # chance is 0.05
    else:
        assert right > 0.9 and log["last_loss"] < 0.5 * log["first_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", [False, True])
def test_learns_to_copy_from_any_place_after_copying_random_sequences(shuffled: bool, ids_in_prompts: Copying) -> None:
    model = new_embedded(300, 128, 2, 4, seed=0)
    settings = PretrainSettings(copy_steps=500, epochs=3, seed=1)
    log = pretrain(model, ids_in_prompts(3000, 1, 300, 20, shuffled), settings, show_progress=False)
    right = share_right(model, ids_in_prompts(300, 2, 300, 20))
    assert log["copy_loss"] < 2.0
    if shuffled:
        assert right < 0.15  # a token that stands in the prompt by chance: 1 in 20
    else:
        assert right > 0.9
