"""The loss of a step does not depend on the micro-batch; out of memory halves it; NaN names the prompts."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Batch, Example
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step import train_step as training_module
from recbole_llmfashion.llm.finetuning.step.recompute import Recompute
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from tests.helpers.training import add_adapter

Examples = Callable[[int, int], list[Example]]


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests count forwards; test_kept_memory.py has the one that measures memory."""
    monkeypatch.setattr(training_module, "kept_bytes", lambda *_: 0)


def made(backbone: Backbone, examples: list[Example], micro_batch: int = 8) -> TrainStep:
    model = add_adapter(backbone, FinetuneSettings(lora_dropout=0.0))
    return TrainStep(
        model.train(), examples, 1e-2, 0.0, 1.0, warmup=1, total=4, micro_batch=micro_batch, item_embedding_lr=0.4
    )


def short_of_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Forwards of more than `most` prompts raise an out-of-memory error; returns the sizes of all forwards."""
    sizes: list[int] = []
    whole = training_module.response_loss

    def limited(model: Any, batch: Batch, smoothing: float) -> Any:
        sizes.append(len(batch.input_ids))
        if len(batch.input_ids) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")
        return whole(model, batch, smoothing)

    monkeypatch.setattr(training_module, "response_loss", limited)
    return sizes


def test_out_of_memory_halves_the_micro_batch(
    folder: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    examples = random_examples(14, 4)
    batches = [np.arange(8), np.arange(8, 14)]
    enough = made(load_backbone(str(folder), "none", device="cpu"), examples)
    expected = [enough.step(batches), enough.step(batches)]
    short = made(load_backbone(str(folder), "none", device="cpu"), examples)
    sizes = short_of_memory(monkeypatch, 3)
    with caplog.at_level(logging.WARNING):
        found = [short.step(batches), short.step(batches)]
    assert sizes == [8, 4, *[2] * 7, *[2] * 7]
    assert (short.micro_batch, short.halvings, short.tokens) == (2, 2, enough.tokens)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.rsplit(";", 1)[1] for line in lines] == [
        " 4 prompts per forward from now on, not 8",
        " 2 prompts per forward from now on, not 4",
    ]
    assert found == pytest.approx(expected, rel=1e-5)
    for one, other in zip(short.optimizer.parameters, enough.optimizer.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_out_of_memory_in_the_backward(
    folder: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = random_examples(8, 4)
    enough = made(load_backbone(str(folder), "none", device="cpu"), examples)
    short = made(load_backbone(str(folder), "none", device="cpu"), examples)
    expected = enough.step([np.arange(4), np.arange(4, 8)])
    backward, calls = short.optimizer.backward, iter([False, True, False, False, False, False])

    def limited(loss: torch.Tensor) -> float:
        if next(calls):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return backward(loss)

    monkeypatch.setattr(short.optimizer, "backward", limited)
    assert short.step([np.arange(4), np.arange(4, 8)]) == pytest.approx(expected, rel=1e-5)
    for one, other in zip(short.optimizer.parameters, enough.optimizer.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_auto_recomputes_more_layers_before_it_takes_fewer_prompts(
    folder: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Four layers: two, then three, then all of them are recomputed; then four prompts of eight remain."""
    examples = random_examples(8, 4)
    enough = made(load_backbone(str(folder), "none", device="cpu"), examples)
    expected = [enough.step([np.arange(8)]), enough.step([np.arange(8)])]
    short = made(load_backbone(str(folder), "none", device="cpu"), examples)
    short.recompute = Recompute(short.model, "auto")
    short.recompute.start()
    taken: list[list[bool]] = []
    layers = [layer for layer in short.model.modules() if isinstance(layer, GradientCheckpointingLayer)]
    whole = training_module.response_loss

    def limited(model: Any, batch: Batch, smoothing: float) -> Any:
        taken.append([layer.gradient_checkpointing for layer in layers])
        if len(taken) <= 4:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return whole(model, batch, smoothing)

    monkeypatch.setattr(training_module, "response_loss", limited)
    with caplog.at_level(logging.WARNING):
        found = [short.step([np.arange(8)]), short.step([np.arange(8)])]
    assert [sum(flags) for flags in taken] == [0, 2, 3, 4, 4, 4, 4, 4] and taken[1] == [True, True, False, False]
    assert (short.micro_batch, short.halvings) == (4, 1)
    assert "the activations of 2 of 4 layers are recomputed from now on" in caplog.records[0].getMessage()
    assert found == pytest.approx(expected, rel=1e-5)
    short.recompute.stop()
    assert not any(layer.gradient_checkpointing for layer in layers)


@pytest.mark.parametrize(("setting", "layers"), [(True, 4), (False, 0), ("auto", 0)])
def test_recomputed_layers_at_the_start(plain: Backbone, setting: Any, layers: int) -> None:
    recompute = Recompute(plain.model, setting)
    recompute.start()
    assert recompute.count == layers
    assert sum(getattr(module, "gradient_checkpointing", False) for module in plain.model.transformer.h) == layers
    assert recompute.more() is (setting == "auto")


def test_out_of_memory_with_one_prompt(
    plain: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = short_of_memory(monkeypatch, 0)
    with pytest.raises(UserError, match=r"one prompt per forward .*gradient_checkpointing") as error:
        made(plain, random_examples(4, 0)).step([np.arange(4)])
    assert sizes == [4, 2, 1] and "\n" not in str(error.value)


def test_halvings_are_in_the_log(plain: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    short_of_memory(monkeypatch, 2)
    log = finetune(plain, random_examples(8, 0), FinetuneSettings(batch_size=8, curriculum_share=0.0), False)
    assert (log.summary()["halvings"], log.summary()["micro_batch"]) == (2, 2)


def test_nan_loss_names_the_prompts(
    plain: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = made(plain, random_examples(8, 0), micro_batch=2)
    before = [parameter.detach().clone() for parameter in training.optimizer.parameters]
    whole = training_module.response_loss

    def poisoned(model: Any, batch: Batch, smoothing: float) -> Any:
        sums, counts = whole(model, batch, smoothing)
        return (sums * torch.nan if poisoned.calls.pop() else sums), counts  # type: ignore[attr-defined]

    poisoned.calls = [False, True, False]  # type: ignore[attr-defined]
    monkeypatch.setattr(training_module, "response_loss", poisoned)
    with pytest.raises(UserError, match=r"loss is nan at step 1.*counted from 0: 7, 1$"):
        training.step([np.asarray([5, 3, 7, 1, 0, 2])])
    assert all(torch.equal(a, b) for a, b in zip(before, training.optimizer.parameters, strict=True))
    assert all(parameter.grad is None for parameter in training.optimizer.parameters) and training.losses == []


def test_nan_gradient_names_the_prompts(plain: Backbone, random_examples: Examples) -> None:
    training = made(plain, random_examples(3, 0))
    before = [parameter.detach().clone() for parameter in training.optimizer.parameters]
    training.optimizer.parameters[0].register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(UserError, match=r"gradient is (nan|inf) at step 1.*counted from 0: 2, 0, 1$"):
        training.step([np.asarray([2, 0, 1])])
    assert all(torch.equal(a, b) for a, b in zip(before, training.optimizer.parameters, strict=True))


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_fast_dropout_without_dropout_is_the_same_training(folder: Path, random_examples: Examples, dtype: Any) -> None:
    """Dropout of the LoRA layers draws bits where it is on; where it is 0 nothing is drawn."""

    def losses(rate: float, fast: bool) -> list[float]:
        backbone = load_backbone(str(folder), "none", dtype, device="cpu")
        examples = random_examples(8, 0)
        torch.manual_seed(0)
        step = TrainStep(
            add_adapter(backbone, FinetuneSettings(lora_dropout=rate)).train(),
            examples, 1e-2, 0.0, 1.0, 0, 4, 8, 0.0, fast_dropout=fast,
        )  # fmt: skip
        return [step.step([np.arange(8)]) for _ in range(4)]

    assert losses(0.0, True) == losses(0.0, False)
    plain, bits = losses(0.5, False), losses(0.5, True)
    assert bits == losses(0.5, True) and bits[1:] != plain[1:] and bits[-1] < bits[0]
