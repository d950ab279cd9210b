"""A fine-tuning that is interrupted and resumed ends with the same adapter as an uninterrupted one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.backbone import load_backbone

Examples = Callable[[int, int], list[Example]]
# 6 + 6 uniform steps, then 2 passes of 2 steps over the hardest 8 of 24 prompts
SETTINGS = FinetuneSettings(
    learning_rate=5e-3, batch_size=4, epochs=2, curriculum_share=1 / 3, curriculum_epochs=4, seed=4
)
STEPS = 16


class Killed(Exception):
    pass


def train(
    folder: Path,
    examples: list[Example],
    checkpoint: CheckpointFolder | None = None,
    kill_at: int | None = None,
    settings: FinetuneSettings = SETTINGS,
) -> FinetuneLog:
    """A fine-tuning of a freshly loaded backbone that fails after `kill_at` steps."""
    step = TrainStep.step

    def dying(self: TrainStep, batches: Any) -> float:
        if self.optimizer.steps == kill_at:
            raise Killed
        return step(self, batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "step", dying)
        backbone = load_backbone(str(folder), "none", device="cpu")
        return finetune(backbone, examples, settings, False, lambda _: 0.5, checkpoint)


def adapter(log: FinetuneLog) -> list[torch.Tensor]:
    return [p.detach().clone() for p in log.model.parameters() if p.requires_grad]


@pytest.fixture(scope="module")
def uninterrupted(folder: Path) -> Callable[[list[Example]], FinetuneLog]:
    kept: dict[int, FinetuneLog] = {}

    def run(examples: list[Example]) -> FinetuneLog:
        if not kept:
            kept[0] = train(folder, examples)
        return kept[0]

    return run


# in the first epoch, in the second, right after the first phase, in the last epoch
@pytest.mark.parametrize(("kill_at", "resumed"), [(4, 3), (11, 9), (12, 12), (15, 15)])
def test_resumed_run_ends_with_the_same_adapter(
    folder: Path, tmp_path: Path, random_examples: Examples, uninterrupted: Any, kill_at: int, resumed: int
) -> None:
    examples = random_examples(24, 2)
    whole = uninterrupted(examples)
    checkpoint = CheckpointFolder(tmp_path / "running", every=3)
    with pytest.raises(Killed):
        train(folder, examples, checkpoint, kill_at)
    torch.manual_seed(99)  # a new process starts with other random numbers
    log = train(folder, examples, checkpoint)
    assert log.resumed_at == [resumed] and len(log.losses) == STEPS
    assert log.losses == whole.losses and log.perplexity == whole.perplexity and log.tokens == whole.tokens
    assert log.format_failures == whole.format_failures
    for one, other in zip(adapter(log), adapter(whole), strict=True):
        assert torch.equal(one, other)


def test_run_that_is_resumed_twice(folder: Path, tmp_path: Path, random_examples: Examples, uninterrupted: Any) -> None:
    examples = random_examples(24, 2)
    checkpoint = CheckpointFolder(tmp_path / "running", every=2)
    for kill_at in (5, 13):
        with pytest.raises(Killed):
            train(folder, examples, checkpoint, kill_at)
    log = train(folder, examples, checkpoint)
    assert log.resumed_at == [4, 12] and log.losses == uninterrupted(examples).losses


def test_files_of_a_checkpoint(folder: Path, tmp_path: Path, random_examples: Examples) -> None:
    checkpoint = CheckpointFolder(tmp_path / "running", every=3)
    with pytest.raises(Killed):
        train(folder, random_examples(24, 2), checkpoint, 8)
    assert [path.name for path in (tmp_path / "running").iterdir()] == ["step-6"]
    state = tmp_path / "running/step-6"
    names = {path.name for path in state.iterdir()} - {"README.md"}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "tensors.safetensors", "state.json"}
    assert json.loads((state / "state.json").read_text())["place"] == [0, 6]
    moments = load_file(state / "tensors.safetensors")
    assert sum(name.endswith("exp_avg") for name in moments) == 32 and "random.cpu" in moments


def test_no_checkpoints(folder: Path, tmp_path: Path, random_examples: Examples) -> None:
    train(folder, random_examples(8, 2), CheckpointFolder(tmp_path / "running", every=0))
    assert not (tmp_path / "running").exists()


def test_checkpoint_of_another_fine_tuning(folder: Path, tmp_path: Path, random_examples: Examples) -> None:
    checkpoint = CheckpointFolder(tmp_path / "running", every=2)
    with pytest.raises(Killed):
        train(folder, random_examples(24, 2), checkpoint, 3)
    with pytest.raises(UserError, match="other settings or prompts"):
        train(folder, random_examples(24, 3), checkpoint)
    other = FinetuneSettings(**{**vars(SETTINGS), "lora_r": 8})
    with pytest.raises(UserError, match="different layers or a different lora_r"):
        train(folder, random_examples(24, 2), checkpoint, settings=other)


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json", "adapter_model.safetensors"])
def test_broken_checkpoint(folder: Path, tmp_path: Path, random_examples: Examples, file: str) -> None:
    checkpoint = CheckpointFolder(tmp_path / "running", every=2)
    with pytest.raises(Killed):
        train(folder, random_examples(24, 2), checkpoint, 3)
    (tmp_path / "running/step-2" / file).write_bytes(b"cut of")
    with pytest.raises(UserError, match=r"cannot be read .* remove ") as error:
        train(folder, random_examples(24, 2), checkpoint)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", ["tensors.safetensors", "adapter_model.safetensors"])
def test_a_changed_byte_of_a_checkpoint(folder: Path, tmp_path: Path, random_examples: Examples, file: str) -> None:
    checkpoint = CheckpointFolder(tmp_path / "running", every=2)
    with pytest.raises(Killed):
        train(folder, random_examples(24, 2), checkpoint, 3)
    path, state = tmp_path / "running/step-2" / file, tmp_path / "running/step-2/state.json"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=rf"cannot be read \({file} was changed\); remove {tmp_path}/running to start"):
        train(folder, random_examples(24, 2), checkpoint)
    earlier = json.loads(state.read_text())
    assert sorted(earlier.pop("sha256")) == ["adapter_model.safetensors", "tensors.safetensors"]
    state.write_text(json.dumps(earlier))
    assert train(folder, random_examples(24, 2), checkpoint).resumed_at == [2]  # checkpoints without digests go on


def test_partial_checkpoint_is_ignored(tmp_path: Path) -> None:
    for name in ("step-9", "step-10", "step-20.partial"):
        (tmp_path / name).mkdir()
    last = CheckpointFolder(tmp_path, 1).last()
    assert last is not None and last.name == "step-10"


def test_nan_loss_saves_the_last_adapter(
    folder: Path, tmp_path: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = random_examples(24, 2)
    step = TrainStep.step
    seen: dict[str, Any] = {}

    def poisoned(self: TrainStep, batches: Any) -> float:
        if self.optimizer.steps == 5:
            seen["prompts"] = batches[0].tolist()
            seen["adapter"] = {n: p.detach().clone() for n, p in self.model.named_parameters() if p.requires_grad}
            self.model.get_decoder().ln_f.weight.data.fill_(torch.nan)
        return step(self, batches)

    monkeypatch.setattr(TrainStep, "step", poisoned)
    checkpoint = CheckpointFolder(tmp_path / "running", every=3)
    with pytest.raises(UserError) as error:
        finetune(load_backbone(str(folder), "none", device="cpu"), examples, SETTINGS, False, None, checkpoint)
    text = str(error.value)
    assert "loss is nan at step 6" in text and ", ".join(map(str, seen["prompts"])) in text
    assert str(tmp_path / "running/step-5") in text and "\n" not in text
    kept = load_file(tmp_path / "running/step-5/adapter_model.safetensors")
    assert len(kept) == 32
    for name, value in seen["adapter"].items():
        assert torch.equal(kept[name.replace(".default", "")], value)


def test_adapter_with_nan_is_not_saved(
    folder: Path, tmp_path: Path, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TrainStep.step

    def poisoned(self: TrainStep, batches: Any) -> float:
        if self.optimizer.steps == 5:
            self.optimizer.parameters[0].data.fill_(torch.nan)
        return step(self, batches)

    monkeypatch.setattr(TrainStep, "step", poisoned)
    backbone = load_backbone(str(folder), "none", device="cpu")
    with pytest.raises(UserError, match=r"last good adapter is in .*step-3"):
        finetune(
            backbone, random_examples(24, 2), SETTINGS, False, None, CheckpointFolder(tmp_path / "running", every=3)
        )
    assert CheckpointFolder(tmp_path / "running", 3).last() == tmp_path / "running/step-3"
