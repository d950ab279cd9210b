"""Steps for a table of rows of which a few are right answers and all others wrong ones.

    m <- b1 m + (1 - b1) g          s <- b2 s + (1 - b2) ||g||^2, one number for the whole table
    table <- table - rate * (m / (1 - b1^t)) / sqrt(s / (1 - b2^t))

AdamW divides each element by its own mean square, so that a row which no prompt holds, and which as a wrong answer has
a gradient near zero, walks as far as one that is bought every day. Here a row walks as far as its share of the
gradient: an item that is rarely seen stays near the words it was made from. `rate` is the length that the table as one
vector moves in a step, whatever its number of rows. Knows no tokens and no losses. One second moment for a block of
parameters is also what Adam-mini has (arXiv 2406.16793), there for its memory.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter


class ItemEmbeddingOptimizer(torch.optim.Optimizer):
    """See the module.

    Args:
        tables: each [rows, width], each with its own s.
        lr: rate of a step, in the unit of the table's own vectors.
        betas: b1 and b2.
    """

    def __init__(self, tables: Iterable[Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        super().__init__(tables, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of each table that has a gradient; `closure`, torch's, is called first where there is one."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, table.grad.float(), group["lr"], *group["betas"])
        return loss

    def _move(self, table: Tensor, gradient: Tensor, rate: float, decay: float, slow: float) -> None:
        state = self.state[table]
        if not state:
            state["step"], state["square"] = torch.zeros(()), torch.zeros((), device=table.device)
            state["exp_avg"] = torch.zeros_like(gradient)
        state["step"] += 1
        steps = int(state["step"])
        state["exp_avg"].lerp_(gradient, 1 - decay)
        state["square"].lerp_(gradient.square().sum(), 1 - slow)
        length = (state["square"] / (1 - slow**steps)).sqrt().clamp(min=torch.finfo(torch.float32).tiny)
        table -= (state["exp_avg"] / length * (rate / (1 - decay**steps))).to(table.dtype)
