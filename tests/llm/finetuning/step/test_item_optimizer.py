"""Updates of item embeddings in proportion to their gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.step.item_optimizer import ItemEmbeddingOptimizer
from recbole_llmfashion.llm.finetuning.step.optimizer import Optimizer
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.adapter import ROWS, new_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from recbole_llmfashion.prompt.item_tokens import atomic_tokens

FIRST, ITEMS = 20, 6


def test_two_steps() -> None:
    table = Parameter(torch.zeros(2, 2))
    optimizer = ItemEmbeddingOptimizer([table], lr=10.0, betas=(0.5, 0.5))
    table.grad = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    optimizer.step()
    # m / (1 - .5) is the gradient, sqrt(s / (1 - .5)) its length 5
    torch.testing.assert_close(table.detach(), torch.tensor([[-6.0, 0.0], [0.0, -8.0]]))
    table.grad = torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    optimizer.step()
    # m = (.75, 0; 0, 2), over .75: (1, 0; 0, 8/3); s = 6.25 + 2 = 8.25, over .75: 11
    torch.testing.assert_close(table.detach(), torch.tensor([[-6 - 10 / 11**0.5, 0], [0, -8 - 80 / 3 / 11**0.5]]))


def test_rows_without_gradient() -> None:
    few, many = Parameter(torch.zeros(2, 3)), Parameter(torch.zeros(9, 3))
    generator = torch.Generator().manual_seed(0)
    optimizer = ItemEmbeddingOptimizer([few, many], lr=0.1)
    for _ in range(5):
        few.grad = torch.randn(2, 3, generator=generator)
        many.grad = torch.zeros(9, 3)
        many.grad[4:6] = few.grad
        optimizer.step()
    torch.testing.assert_close(many[4:6], few)
    assert many[:4].abs().max() == many[6:].abs().max() == 0


def test_table_without_gradient() -> None:
    table, idle = Parameter(torch.ones(2, 2)), Parameter(torch.ones(2, 2))
    table.grad = torch.zeros(2, 2)
    ItemEmbeddingOptimizer([table, idle], lr=1.0).step()
    assert torch.equal(table, torch.ones(2, 2)) and torch.equal(idle, torch.ones(2, 2))


def run(steps: int, interrupted: bool) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    parameters = [Parameter(torch.zeros(4, 2)), Parameter(torch.zeros(5, 2)), Parameter(torch.zeros(3))]

    def fresh() -> Optimizer:
        return Optimizer(parameters, 0.1, 0.01, tables=[parameters[1]], table_rate=0.5)

    optimizer = fresh()
    for step in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step(1.0 / (step + 1))
        if interrupted:
            moments, numbers = optimizer.moments(), optimizer.numbers()
            optimizer = fresh()
            optimizer.restore({name: value.clone() for name, value in moments.items()}, numbers)
    return [parameter.detach() for parameter in parameters]


def test_restored_state() -> None:
    for whole, parts in zip(run(4, False), run(4, True), strict=True):
        assert torch.equal(whole, parts)


def test_learning_rates_of_table_and_matrices() -> None:
    first, table, vector = run(1, False)
    # AdamW's first step is the rate in each element, the table's is .5 in all
    torch.testing.assert_close(first.abs(), torch.full((4, 2), 0.1))
    torch.testing.assert_close(vector.abs(), torch.full((3,), 0.1))
    assert float(table.norm()) == pytest.approx(0.5, rel=1e-5)


def relative_updates(item_embedding_lr: float) -> tuple[torch.Tensor, float]:
    """Relative norm of each row's update in one step; prompts have items 1 and 4, a response item 2."""
    backbone = Backbone(new_tiny_falcon(FIRST, 16, 1, 2, seed=0), None, str(Path("none")), 0)
    words = [np.asarray([5 + i, 6 + i], np.int64) for i in range(ITEMS)]
    length = add_item_tokens(backbone, atomic_tokens(np.arange(ITEMS), FIRST, words))
    model = new_adapter(backbone, 4, 4, 0.0, "auto", 0)
    (rows,) = [value for name, value in model.named_parameters() if ROWS in name]
    before = rows.detach().clone()
    prompts = [[3, FIRST + 1, 4], [3, FIRST + 4, 4]]
    examples = [Example(np.asarray(prompt, np.int32), np.asarray([FIRST + 2, 1], np.int32)) for prompt in prompts]
    training = TrainStep(
        model, examples, 1e-2, 0.0, 1.0, warmup=1, total=4, micro_batch=2, item_embedding_lr=item_embedding_lr
    )
    training.step([np.arange(2)])
    moved = (rows.detach() - before).norm(dim=1) / length
    return moved, float(moved.square().sum().sqrt())


def test_update_of_item_embeddings() -> None:
    moved, together = relative_updates(0.3)
    assert together == pytest.approx(0.3, rel=1e-4)
    assert int(moved.argmax()) == 2 and float(moved[2]) > 2 * float(moved[[0, 3, 5]].max())
    assert relative_updates(0.0)[1] == 0
