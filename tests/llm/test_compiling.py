"""Compiled decoder layers: losses of the code that is not compiled, few graphs, errors in a line."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from transformers import FalconConfig, FalconForCausalLM, LlamaConfig, LlamaForCausalLM

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm import compiling as compiling_module
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.compiling import CompiledLayers, compiling, traceable_lora
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.adapter import save_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from recbole_llmfashion.llm.modeling.merge import merge_adapter
from tests.helpers.training import SETTINGS, add_adapter, trained

Examples = Callable[[int, int], list[Example]]
SHAPE = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Graphs are captured whole and then run as they are; a compiler takes a minute for each."""
    monkeypatch.setattr(compiling_module, "BACKEND", "eager")
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def graphs() -> int:
    """Number of graphs captured since the test began; a graph break would add one and be counted elsewhere too."""
    assert not counters["graph_break"]
    return int(counters["stats"]["unique_graphs"])


def made(backbone: Backbone, examples: list[Example], compiled: bool, **keys: Any) -> TrainStep:
    model = add_adapter(backbone, FinetuneSettings(lora_dropout=0.0))
    step = TrainStep(
        model.train(), examples, 1e-2, 0.0, 1.0, warmup=1, total=9, micro_batch=4, item_embedding_lr=0.4,
        torch_compile=compiled, **keys,
    )  # fmt: skip
    step.recompute.start()
    return step


def losses(step: TrainStep) -> list[float]:
    """Of a whole batch, a part of one, and the whole again."""
    return [step.step([np.arange(4)]), step.step([np.arange(4, 7)]), step.step([np.arange(4)])]


def assert_same_losses(folder: Path, examples: list[Example], quantization: Any, dtype: Any, **keys: Any) -> TrainStep:
    plain = losses(made(load_backbone(str(folder), quantization, dtype, "cpu"), examples, False))
    step = made(load_backbone(str(folder), quantization, dtype, "cpu"), examples, True, **keys)
    found = losses(step)
    assert abs(found[0] - found[2]) > 0.02
    assert found == pytest.approx(plain, rel=1e-6 if dtype == "fp32" else 4e-3)
    return step


@pytest.mark.parametrize(
    ("quantization", "dtype", "checkpointing", "captured"),
    # the first layer's input has no gradient without checkpointing, so it has a graph of its own
    [
        ("none", "fp32", False, 2),
        ("nf4", "bf16", "auto", 2),
        pytest.param("none", "bf16", True, 1, marks=pytest.mark.slow),
        pytest.param("none", "fp16", False, 2, marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("traced")
def test_losses_are_those_of_the_code_that_is_not_compiled(
    folder: Path, random_examples: Examples, quantization: Any, dtype: Any, checkpointing: Any, captured: int
) -> None:
    """Each layer is one graph without a break, NF4 included, and the shorter batch needs no other one."""
    examples = random_examples(7, 1)
    step = assert_same_losses(folder, examples, quantization, dtype, gradient_checkpointing=checkpointing)
    assert step.compiled is not None and step.compiled.shapes == {(4, 64)}
    assert graphs() == captured


@pytest.mark.slow
@pytest.mark.skipif(which("g++") is None and which("clang++") is None, reason="no C++ compiler on this machine")
@pytest.mark.parametrize(("quantization", "dtype"), [("none", "fp32"), ("nf4", "bf16")])
def test_losses_with_the_compiler(folder: Path, random_examples: Examples, quantization: Any, dtype: Any) -> None:
    """Needs a C++ compiler, as `torch_compile: True` does on a CPU."""
    torch._dynamo.reset()
    assert_same_losses(folder, random_examples(7, 1), quantization, dtype, gradient_checkpointing=True)


@pytest.mark.usefixtures("traced")
def test_a_graph_for_each_padded_length(folder: Path) -> None:
    def example(length: int) -> Example:
        return Example(np.full(length - 1, 7, np.int32), np.full(1, 9, np.int32))

    lengths = [5, 64, 65, 128, 30, 100]
    step = made(load_backbone(str(folder), "none", "fp32", "cpu"), [example(n) for n in lengths], True)
    found = []
    for one in range(len(lengths)):
        step.step([np.array([one])])
        found.append(graphs())
    assert found == [2, 2, 4, 4, 4, 4]
    assert not any(module._compiled_call_impl for module in step.model.modules())
    assert step.compiled is not None and step.compiled.shapes == {(1, 64), (1, 128)}


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_more_layers_recomputed_after_the_memory_ran_out(
    folder: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = random_examples(4, 2)
    expected = made(load_backbone(str(folder), "none", "fp32", "cpu"), examples, False).step([np.arange(4)])
    step = made(load_backbone(str(folder), "none", "fp32", "cpu"), examples, True, gradient_checkpointing="auto")
    backward, failures = step.optimizer.backward, iter([True, False])

    def short(loss: torch.Tensor) -> float:
        if next(failures):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return backward(loss)

    monkeypatch.setattr(step.optimizer, "backward", short)
    assert step.step([np.arange(4)]) == pytest.approx(expected, rel=1e-6)
    assert (step.recompute.count, step.micro_batch) == (2, 4)
    assert not any(layer._compiled_call_impl for layer in step.model.modules())


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_falcon_7bs_architecture(random_examples: Examples) -> None:
    """One key for all heads, without a mask; MLP and attention in parallel."""
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        lm = FalconForCausalLM(FalconConfig(**SHAPE, multi_query=True, parallel_attn=True, bias=False, alibi=False))
        found.append(losses(made(Backbone(lm, None, "toy", 0), random_examples(7, 1), compiled)))
    assert found[1] == pytest.approx(found[0], rel=1e-6)
    assert graphs() == 2


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_a_model_with_masks(random_examples: Examples) -> None:
    """Rows that only fill the batch attend to something, or their NaN would reach the weights."""
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        lm = LlamaForCausalLM(LlamaConfig(**SHAPE, intermediate_size=48, max_position_embeddings=60))
        step = made(Backbone(lm, None, "toy", 0), random_examples(7, 1), compiled)
        found.append(losses(step))
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert step.compiled is not None and step.compiled.shapes == {(4, 60)}


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_a_fine_tuning_resumes_validates_and_merges(
    folder: Path, tmp_path: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of 5 and of 2 prompts have graphs; perplexities are measured without compiled layers."""
    settings = replace(SETTINGS, torch_compile=True, lora_dropout=0.3)
    examples = random_examples(22, 3)
    whole = finetune(load_backbone(str(folder), "none", "fp32", "cpu"), examples, settings, False)
    assert graphs() == 4
    kept = CheckpointFolder(tmp_path / "kept", 1)
    make, steps = TrainStep.step, iter(range(99))

    def dying(step: TrainStep, batches: Any) -> float:
        if next(steps) == 5:
            raise KeyboardInterrupt
        return make(step, batches)

    monkeypatch.setattr(TrainStep, "step", dying)
    with pytest.raises(KeyboardInterrupt):
        finetune(load_backbone(str(folder), "none", "fp32", "cpu"), examples, settings, False, checkpoint=kept)
    log = finetune(load_backbone(str(folder), "none", "fp32", "cpu"), examples, settings, False, checkpoint=kept)
    assert log.resumed_at == [5] and log.losses == whole.losses and torch.equal(trained(log), trained(whole))
    assert graphs() == 4  # one model after another takes the same graphs
    save_adapter(log.model, tmp_path / "adapter")
    merge_adapter(load_backbone(str(folder), "none", "fp32", "cpu"), tmp_path / "adapter", tmp_path / "merged")
    merged = load_backbone(str(tmp_path / "merged"), "none", "fp32", "cpu").model
    ids = torch.arange(5, 25)[None]
    torch.testing.assert_close(merged(ids).logits, log.model(ids).logits, rtol=0, atol=1e-4)


def test_lora_is_pefts(folder: Path) -> None:
    model = add_adapter(load_backbone(str(folder), "none", "fp32", "cpu"), FinetuneSettings(lora_alpha=40)).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1)
    ids = torch.arange(5, 25)[None]
    expected = model(ids).logits
    with traceable_lora(model) as layers:
        assert layers == 16
        torch.testing.assert_close(model(ids).logits, expected, rtol=0, atol=1e-5)
    assert not any("forward" in vars(module) for module in model.modules())


def failing(*_: Any) -> Any:
    raise RuntimeError("no compiler\nis installed")


def test_what_cannot_be_compiled_is_an_error_of_one_line(
    folder: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling_module, "BACKEND", failing)
    torch._dynamo.reset()
    step = made(load_backbone(str(folder), "none", "fp32", "cpu"), random_examples(4, 1), True)
    with pytest.raises(UserError, match=r"^torch_compile: .*no compiler is installed.*; set torch_compile: False$"):
        step.step([np.arange(4)])


@pytest.mark.usefixtures("traced")
def test_more_shapes_than_graphs_are_no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling_module, "GRAPHS", 2)
    double = torch.compile(lambda x: x * 2, backend="eager", dynamic=False, fullgraph=True)
    with compiling():
        assert [double(torch.ones(n)).sum() for n in (1, 2)] == [2, 4]
        with pytest.raises(UserError, match="torch_compile: "), compiling():
            double(torch.ones(3))


def test_a_model_without_marked_layers() -> None:
    model = nn.Linear(2, 2)
    model.config = type("Config", (), {"model_type": "odd"})  # type: ignore[assignment]
    with pytest.raises(UserError, match="torch_compile: odd has no decoder layers"):
        CompiledLayers(model)
