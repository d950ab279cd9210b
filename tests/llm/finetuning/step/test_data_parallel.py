"""Several workers train like a single one. Workers are threads here; tests/distributed has tests with Ray."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog
from recbole_llmfashion.llm.finetuning.step import data_parallel
from recbole_llmfashion.llm.finetuning.step import train_step as training_module
from recbole_llmfashion.llm.finetuning.step.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.step.optimizer import NotFiniteError
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from tests.helpers.training import PROMPTS, SETTINGS, STEPS, checkpoint, together, train, trained, with_dropout


@pytest.fixture(scope="module")
def alone(folder: Path) -> FinetuneLog:
    return train(str(folder), SINGLE_PROCESS)


@given(st.integers(0, 40), st.integers(1, 6))
def test_parts_of_a_batch(size: int, count: int) -> None:
    parts = [Workers(rank, count).part(np.arange(size)) for rank in range(count)]
    assert sorted(np.concatenate(parts)) == list(range(size))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("count", [2, 3])
def test_same_losses_and_adapter_as_one_worker(folder: Path, alone: FinetuneLog, count: int) -> None:
    """With three workers and a batch of two prompts one worker has no prompt."""
    logs = together(count, lambda ranks: train(str(folder), ranks))
    assert len(alone.losses) == STEPS
    for log in logs:
        assert log.losses == pytest.approx(alone.losses, abs=1e-5)
        assert log.perplexity["after_hard"]["mean"] == pytest.approx(alone.perplexity["after_hard"]["mean"], rel=1e-4)
        torch.testing.assert_close(trained(log), trained(alone), rtol=1e-3, atol=1e-4)
        assert log.tokens == alone.tokens and torch.equal(trained(log), trained(logs[0]))
    assert [list(log.format_failures) for log in logs] == [list(alone.format_failures), *[[]] * (count - 1)]


def test_loss_is_a_mean_over_tokens(folder: Path, alone: FinetuneLog) -> None:
    """The mean of the workers' means, as in DistributedDataParallel, differs."""
    means: list[list[float]] = [[], []]
    whole = TrainStep._gradients

    def own(self: TrainStep, batches: Any, tokens: int) -> float | None:
        mine = sum(int(self.target_tokens[batch].sum()) for batch in batches)
        loss = whole(self, batches, tokens)
        assert loss is not None
        means[self.workers.rank].append(loss * tokens / max(1, mine))
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "_gradients", own)
        logs = together(2, lambda ranks: train(str(folder), ranks))
    assert np.abs(np.mean(means, axis=0) - logs[0].losses).max() > 1e-3


def test_single_worker_does_not_communicate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_parallel, "distributed", None)
    batch, before = np.arange(4), torch.get_rng_state()
    SINGLE_PROCESS.seed(1, 2)
    SINGLE_PROCESS.add_gradients([torch.nn.Parameter(torch.ones(1))])
    assert (
        SINGLE_PROCESS.part(batch) is batch
        and SINGLE_PROCESS.total(batch) is batch
        and SINGLE_PROCESS.agree(lambda: 7) == 7
    )
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_are_summed_in_place() -> None:
    """Worker 0 has gradients of both parameters, worker 1 of the first only."""

    def work(ranks: Workers) -> tuple[list[Any], bool]:
        both = [torch.nn.Parameter(torch.ones(2, 1)), torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))]
        both[0].grad = own = torch.tensor([[1.0], [2.0]]) * (ranks.rank + 1)
        both[1].grad = torch.tensor([0.5], dtype=torch.bfloat16) if ranks.first else None
        ranks.add_gradients(both)
        return [parameter.grad.tolist() for parameter in both if parameter.grad is not None], both[0].grad is own

    assert together(2, work) == [([[[3.0], [6.0]], [0.5]], True)] * 2


def test_error_of_one_worker_is_raised_by_all() -> None:
    def work(ranks: Workers) -> None:
        def check() -> None:
            if ranks.rank == 1:
                raise UserError("disk: full")

        ranks.agree(check)

    outcome = together(3, work)
    assert [str(error) for error in outcome] == ["disk: full"] * 3 and all(
        isinstance(error, UserError) for error in outcome
    )


def test_resumed_training_draws_the_same_dropout(folder: Path, tmp_path: Path) -> None:
    settings = with_dropout()
    whole = together(2, lambda ranks: train(str(folder), ranks, settings=settings))
    step = TrainStep.step

    def dying(self: TrainStep, batches: Any) -> float:
        if self.optimizer.steps == 5 and self.workers.rank == 1:
            raise RuntimeError("killed")
        return step(self, batches)

    kept = checkpoint(tmp_path / "running", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "step", dying)
        together(2, lambda ranks: train(str(folder), ranks, kept, settings))
    assert [path.name for path in kept.path.iterdir()] == ["step-4"]
    logs = together(2, lambda ranks: train(str(folder), ranks, kept, settings))
    assert [log.resumed_at for log in logs] == [[4], [4]]
    assert [log.losses for log in logs] == [whole[0].losses] * 2
    assert torch.equal(trained(logs[0]), trained(whole[0])) and torch.equal(trained(logs[1]), trained(whole[0]))


def test_dropout_differs_between_workers_and_steps() -> None:
    values = set()
    with torch.random.fork_rng():
        for ranks in (Workers(0, 2), Workers(1, 2)):
            for step in (0, 1):
                ranks.seed(4, step)
                values.add(float(torch.rand(1)))
    assert len(values) == 4


def test_out_of_memory_on_one_worker(folder: Path, alone: FinetuneLog) -> None:
    whole = TrainStep._forward

    def limited(self: TrainStep, indices: np.ndarray, tokens: int) -> float:
        if self.workers.rank == 1 and len(indices) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return whole(self, indices, tokens)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "_forward", limited)
        logs = together(2, lambda ranks: train(str(folder), ranks))
    for log in logs:
        assert log.losses == pytest.approx(alone.losses, abs=1e-5)
        assert log.halvings == 1  # of two prompts per forward
    assert [log.micro_batch for log in logs] == [SETTINGS.batch_size, 1]


def test_nan_on_one_worker(folder: Path, tmp_path: Path) -> None:
    whole = training_module.response_loss

    def poisoned(model: Any, batch: Any, smoothing: float) -> Any:
        sums, counts = whole(model, batch, smoothing)
        return (sums * torch.nan if model.training and 5 in batch.input_ids[:, 0] else sums), counts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_module, "response_loss", poisoned)
        kept = checkpoint(tmp_path / "running", 1)
        outcome = together(2, lambda ranks: train(str(folder), ranks, kept, count=PROMPTS * 3))
    assert all(isinstance(error, NotFiniteError) for error in outcome), outcome
    assert "loss is nan at step" in str(outcome[0]) and "counted from 0:" in str(outcome[0])
    assert str(outcome[0]).split(";")[:3] == str(outcome[1]).split(";")[:3]
