"""The learning rate schedule, AdamW's groups, clipping, saved states, and the update as graphs."""

import pytest
import torch
from torch import nn

from recbole_llmfashion.llm.finetuning.step import optimizer as optimizer_module
from recbole_llmfashion.llm.finetuning.step.optimizer import (
    NotFiniteError,
    Optimizer,
    Scheduler,
    linear_rate,
    scheduled_rate,
)
from tests.helpers.recorded import Recorded


def test_linear_rate() -> None:
    rates = [linear_rate(step, 2, 4, 8, 0.2) for step in range(9)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert [linear_rate(step, 0, 0, 2, 0.0) for step in range(4)] == [1.0, 0.5, 0.0, 0.0]
    assert linear_rate(5, 3, 3, 3, 0.0) == 1.0  # no steps are left for a decay


@pytest.mark.parametrize(
    ("scheduler", "rates"),
    [
        ("linear", [0.5, 1, 1, 0.75, 0.5, 0.25, 0]),
        ("cosine", [0.5, 1, 1, 0.8535534, 0.5, 0.1464466, 0]),  # (1 + cos(k pi / 4)) / 2
        ("constant", [1, 1, 1, 1, 1, 1, 1]),
        ("constant_with_warmup", [0.5, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_schedules(scheduler: Scheduler, rates: list[float]) -> None:
    assert [scheduled_rate(scheduler, step, 2, 6) for step in range(7)] == pytest.approx(rates)
    assert scheduled_rate(scheduler, 0, 0, 0) == 1.0


@pytest.mark.parametrize(("max_grad_norm", "scale"), [(1.0, 0.2), (2.5, 0.5), (5.0, 1.0), (9.0, 1.0), (0.0, 1.0)])
def test_gradients_are_clipped_to_a_norm(max_grad_norm: float, scale: float) -> None:
    """The gradient is (3, 0, 0, 4), of norm 5; the first moment of AdamW is a tenth of it after one step."""
    value = nn.Parameter(torch.zeros(2, 2))
    optimizer = Optimizer([value], learning_rate=0.1, weight_decay=0.0, max_grad_norm=max_grad_norm)
    optimizer.backward(3 * value[0, 0] + 4 * value[1, 1])
    optimizer.step(1.0)
    expected = [0.3 * scale, 0, 0, 0.4 * scale]
    assert optimizer.moments()["0.0.exp_avg"].flatten().tolist() == pytest.approx(expected, rel=1e-5)


def parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.full((2, 2), 1.0)), nn.Parameter(torch.full((2,), 1.0))]


def test_weight_decay_applies_to_matrices_only() -> None:
    matrix, vector = parameters()
    optimizer = Optimizer([matrix, vector], learning_rate=0.1, weight_decay=0.5)
    optimizer.backward(0 * (matrix.sum() + vector.sum()))
    optimizer.step(1.0)
    assert matrix.flatten().tolist() == pytest.approx([0.95] * 4) and vector.tolist() == [1.0, 1.0]


def test_step_follows_the_rate_and_the_sign_of_the_gradient() -> None:
    matrix, vector = parameters()
    optimizer = Optimizer([matrix, vector], learning_rate=0.1, weight_decay=0.0, max_grad_norm=0.01)
    assert optimizer.backward(matrix.sum() - vector.sum()) == 2.0
    optimizer.step(0.5)  # the first update of AdamW has the size of the learning rate, whatever the clipping
    assert matrix.flatten().tolist() == pytest.approx([0.95] * 4, abs=1e-4)
    assert vector.tolist() == pytest.approx([1.05] * 2, abs=1e-4)
    assert optimizer.steps == 1 and matrix.grad is None


def test_parameters_without_gradient_are_not_trained() -> None:
    matrix, vector = parameters()
    vector.requires_grad_(False)
    assert Optimizer([matrix, vector], 0.1, 0.0).parameters == [matrix]


def test_not_finite() -> None:
    matrix, vector = parameters()
    optimizer = Optimizer([matrix, vector], 0.1, 0.0)
    with pytest.raises(NotFiniteError, match="the loss is nan at step 1; lower the learning rate"):
        optimizer.backward(matrix.sum() * torch.nan)
    matrix.register_hook(lambda gradient: gradient * torch.inf)
    optimizer.backward(matrix.sum())
    with pytest.raises(NotFiniteError, match=r"the gradient is (nan|inf) at step 1"):
        optimizer.step(1.0)
    assert matrix.flatten().tolist() == [1.0] * 4 and optimizer.steps == 0


def test_restored_state_continues_like_the_original() -> None:
    first, second = parameters(), parameters()
    optimizers = [
        Optimizer(values, 0.1, 0.01, tables=values[:1], table_rate=0.2, max_grad_norm=9.0) for values in (first, second)
    ]

    def step(optimizer: Optimizer, values: list[nn.Parameter]) -> None:
        optimizer.backward((values[0] ** 2).sum() + (values[1] ** 3).sum())
        optimizer.step(1.0)

    step(optimizers[0], first)
    names = {"0.0.step", "0.0.exp_avg", "0.0.exp_avg_sq", "1.0.step", "1.0.square", "1.0.exp_avg"}
    assert optimizers[0].moments().keys() == names
    assert optimizers[0].numbers() == {"steps": 1, "scaler": {}}
    for mine, theirs in zip(second, first, strict=True):
        mine.data.copy_(theirs.data)
    saved = {name: value.clone() for name, value in optimizers[0].moments().items()}
    optimizers[1].restore(saved, optimizers[0].numbers())
    for optimizer, values in zip(optimizers, (first, second), strict=True):
        step(optimizer, values)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)) and optimizers[1].steps == 2


def test_clipping_and_updates_as_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights at rates that change with each step, after a step that is not made and after a restart."""
    monkeypatch.setattr(optimizer_module, "Captured", Recorded)
    monkeypatch.setattr(Recorded, "repeats", 0)
    plain, graphs = parameters(), parameters()

    def made(values: list[nn.Parameter], cuda_graphs: bool) -> Optimizer:
        return Optimizer(values, 0.1, 0.01, (0.9, 0.99), 0.5, False, values[:1], 0.2, cuda_graphs)

    own, other = made(plain, False), made(graphs, True)
    for step in range(8):
        for optimizer, values in ((own, plain), (other, graphs)):
            optimizer.backward((values[0] ** 2).sum() + (values[1] ** 3).sum())
            optimizer.step(1.0 / (step + 1))
        assert other.learning_rate == own.learning_rate
        if step == 3:
            assert graphs[0].grad is not None
            graphs[0].grad.fill_(torch.inf)
            with pytest.raises(NotFiniteError, match="the gradient is inf at step 5"):
                other.step(1.0)
            other.clear()
            saved = {name: value.clone() for name, value in other.moments().items()}
            numbers, other = other.numbers(), made(graphs, True)
            other.restore(saved, numbers)
    assert Recorded.repeats == 3 + 2 + 2 + 2  # clippings and updates of both halves; the first two calls are none
    for found, expected in zip(graphs, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
