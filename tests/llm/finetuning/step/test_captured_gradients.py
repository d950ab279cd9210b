"""Forward and backward recorded once per shape and repeated: the losses and weights of steps that run as they come."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion import compat
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.job import BackboneSpec
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step import captured_gradients, optimizer
from recbole_llmfashion.llm.finetuning.step.data_parallel import Workers
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.adapter import causal_lm
from tests.helpers.recorded import Recorded
from tests.helpers.training import ITEMS, SETTINGS, add_adapter, examples, item_tokens, together

STEPS = [np.arange(4), np.arange(4, 7), np.arange(8, 12), np.arange(12, 15), np.arange(4)]


def made(folder: Path, cuda_graphs: bool, quantization: Any = "none", dtype: Any = "fp32", **keys: Any) -> TrainStep:
    """Steps of a model with item tokens; 22 prompts of an item each, the first much longer."""
    tokens = item_tokens(str(folder))
    model = add_adapter(
        BackboneSpec(str(folder), quantization, dtype, "cpu").load(tokens), FinetuneSettings(lora_dropout=0.0)
    )
    given = examples(tokens)
    given[0] = Example(np.resize(given[0].prompt, 80), given[0].response)
    settings: dict[str, Any] = {"label_smoothing": 0.1, "micro_batch": 4, "item_embedding_lr": 0.4} | keys
    step = TrainStep(
        model.train(), given, 1e-2, 0.0, 1.0, warmup=1, total=9, item_tokens=range(tokens.first, tokens.first + ITEMS),
        cuda_graphs=cuda_graphs, **settings,
    )  # fmt: skip
    step.recompute.start()
    return step


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    compat.anomaly_mode_off()  # its checks for NaN wait for the GPU
    for module in (captured_gradients, optimizer):
        monkeypatch.setattr(module, "Captured", Recorded)
    monkeypatch.setattr(Recorded, "repeats", 0)


@pytest.mark.parametrize(("quantization", "dtype"), [("none", "fp32"), ("nf4", "bf16"), ("none", "fp16")])
def test_losses_and_weights_are_those_without_graphs(
    folder: Path, recorded: None, quantization: Any, dtype: Any
) -> None:
    plain, step = (made(folder, way, quantization, dtype) for way in (False, True))
    expected, found = ([run.step([batch]) for batch in STEPS] for run in (plain, step))
    assert abs(found[0] - found[-1]) > 0.1
    assert found == pytest.approx(expected, rel=1e-5 if dtype == "fp32" else 1e-2)
    assert step.captured is not None and step.captured.shapes == {(4, 128, 64), (4, 64, 64)}
    # three steps of the short shape and two of the long one; five of clipping and of updating
    assert Recorded.repeats == (1 if dtype == "fp16" else 1 + 3 + 3)
    for own, other in zip(step.optimizer.parameters, plain.optimizer.parameters, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-4 if dtype == "fp32" else 2e-2)


def test_micro_batches_add_up(folder: Path, recorded: None) -> None:
    """Two forwards of each step. Of six, of three clippings and of three updates, the first two are not repetitions."""
    plain, step = (made(folder, way) for way in (False, True))
    batches = [np.arange(4, 8), np.arange(8, 12)]
    expected, found = ([run.step(batches) for _ in range(3)] for run in (plain, step))
    assert found == pytest.approx(expected, rel=1e-5) and Recorded.repeats == 4 + 1 + 1


def test_two_workers_add_up(folder: Path, recorded: None) -> None:
    """The sum over workers is in the places that the graphs of backward, clipping and update read."""
    plain = made(folder, False)
    expected = [plain.step([batch]) for batch in STEPS]

    def work(ranks: Workers) -> tuple[list[float], bool, TrainStep]:
        step = made(folder, True, workers=ranks)
        places = [parameter.grad.data_ptr() for parameter in step.optimizer.parameters if parameter.grad is not None]
        found = [step.step([batch]) for batch in STEPS]
        kept = places == [p.grad.data_ptr() for p in step.optimizer.parameters if p.grad is not None]
        return found, kept and len(places) == len(step.optimizer.parameters), step

    for found, kept, step in together(2, work):
        assert found == pytest.approx(expected, rel=1e-5) and kept
        for own, other in zip(step.optimizer.parameters, plain.optimizer.parameters, strict=True):
            torch.testing.assert_close(own, other, rtol=0, atol=1e-4)
    # of each worker, one of three steps of a shape, and three each of five clippings and updates
    assert Recorded.repeats == 2 * (1 + 3 + 3)


def test_a_fine_tuning_with_graphs(folder: Path, recorded: None) -> None:
    """Both phases of the curriculum, with perplexities between them."""
    tokens, spec = item_tokens(str(folder)), BackboneSpec(str(folder), "none", "fp32", "cpu")
    logs = [
        finetune(spec.load(tokens), examples(tokens), replace(SETTINGS, cuda_graphs=way), show_progress=False)
        for way in (False, True)
    ]
    assert logs[1].losses == pytest.approx(logs[0].losses, rel=1e-4) and len(logs[1].losses) == 8
    assert logs[1].losses[-1] < logs[1].losses[0] and Recorded.repeats > 5


def test_dropout_is_drawn_anew_in_each_repetition(folder: Path, recorded: None) -> None:
    step = made(folder, True, history_dropout=0.5)
    step.optimizer.step = lambda rate: step.optimizer.clear()  # type: ignore[method-assign]
    found = [step.step([np.arange(4)]) for _ in range(6)]
    assert Recorded.repeats == 4 and len(set(found)) == 6


def test_a_loss_that_is_not_finite_leaves_the_adapter(folder: Path, recorded: None) -> None:
    step = made(folder, True)
    for _ in range(2):
        step.step([np.arange(4)])
    before = [parameter.clone() for parameter in step.optimizer.parameters]
    with torch.no_grad():
        causal_lm(step.model).get_decoder().ln_f.weight.fill_(torch.nan)
    with pytest.raises(UserError, match=r"the loss is nan at step 3; .*prompt"):
        step.step([np.arange(4)])
    assert Recorded.repeats == 1 and not any(  # of the backward; the third clipping was not reached
        parameter.grad.any() for parameter in step.optimizer.parameters if parameter.grad is not None
    )
    assert all(map(torch.equal, before, step.optimizer.parameters))


def test_out_of_memory_goes_on_without_graphs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Layers that compute their activations again look up random numbers, which a graph cannot."""
    step = made(folder, True, gradient_checkpointing="auto")
    assert step.captured is not None
    step.step([np.arange(4)])

    def full(*_: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(step.captured), "__call__", full)
    with caplog.at_level(logging.WARNING):
        step.step([np.arange(4)])
    assert "2 of 4 layers are recomputed from now on, without CUDA graphs" in caplog.text
    assert step.recompute.count == 2 and not step.captured.shapes
