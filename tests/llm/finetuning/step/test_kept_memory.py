"""The bytes that a forward keeps, and the prompts per forward that a CPU's memory allows."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step import train_step
from recbole_llmfashion.llm.finetuning.step.kept_memory import MARGIN, kept_bytes
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from tests.helpers.training import add_adapter

Examples = Callable[[int, int], list[Example]]


def test_a_tensor_counts_once_and_parameters_never() -> None:
    layer, x = nn.Linear(4, 8), torch.zeros(2, 4, requires_grad=True)
    assert kept_bytes(lambda: layer(x).sum(), layer) == 2 * 4 * 4  # x, for the weight's gradient
    assert kept_bytes(lambda: (x.exp() * 2 + layer(x[:, :]).sum()).sum(), layer) == 2 * (2 * 4 * 4)  # exp(x) too
    with torch.no_grad():
        assert kept_bytes(lambda: layer(x), layer) == 0


def test_no_random_number_is_drawn() -> None:
    layer, before = nn.Linear(9, 1), torch.get_rng_state()
    kept_bytes(lambda: layer(nn.functional.dropout(torch.ones(9), 0.5)), layer)
    assert torch.equal(before, torch.get_rng_state())


def made(folder: Path, examples: list[Example], dropout: float = 0.0, **keys: Any) -> TrainStep:
    model = add_adapter(load_backbone(str(folder), "none", device="cpu"), FinetuneSettings(lora_dropout=dropout))
    torch.manual_seed(0)
    return TrainStep(model.train(), examples, 1e-2, 0.0, 1.0, 0, 4, 8, 0.0, **keys)


@pytest.mark.parametrize(("prompts", "expected"), [(8, 8), (3.9, 3), (0.5, 1)])
def test_as_many_prompts_as_the_memory_has_room_for(
    folder: Path,
    random_examples: Examples,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    prompts: float,
    expected: int,
) -> None:
    """The losses do not depend on it."""
    examples = random_examples(8, 0)
    examples[5] = Example(np.resize(examples[5].prompt, 40), examples[5].response)  # the longest one
    whole = made(folder, examples)
    with whole._layers():
        need = MARGIN * kept_bytes(lambda: whole._losses([5]), whole.model)
    monkeypatch.setattr(train_step, "free_memory", lambda: need * prompts + 1)
    step = made(folder, examples)
    with caplog.at_level(logging.WARNING):
        found = [step.step([np.arange(8)]) for _ in range(3)]
    assert step.micro_batch == expected
    assert ("prompts per forward need" in caplog.text) == (expected < 8)
    whole._measured = True
    assert found == pytest.approx([whole.step([np.arange(8)]) for _ in range(3)], rel=1e-4)


def test_measuring_changes_no_training(folder: Path, random_examples: Examples) -> None:
    measured, other = (made(folder, random_examples(8, 0), 0.5) for _ in range(2))
    other._measured = True
    losses = []
    for step in (measured, other):
        torch.manual_seed(1)
        losses.append([step.step([np.arange(8)]) for _ in range(3)])
    assert losses[0] == losses[1]


def test_workers_of_a_machine_share_its_memory(
    folder: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = made(folder, random_examples(8, 0))
    need = MARGIN * kept_bytes(lambda: step._losses([int(step.lengths.argmax())]), step.model)
    monkeypatch.setattr(train_step, "free_memory", lambda: need * 8.5)
    step.workers = type("Two", (), {"count": 2})()
    step._fit_memory()
    assert 4 <= step.micro_batch <= 5  # the fused layers keep a little less than peft's
