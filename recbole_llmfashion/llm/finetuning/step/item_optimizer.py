"""Optimizer for item embeddings: Adam with one second moment for a whole table.

    m <- b1 m + (1 - b1) g          s <- b2 s + (1 - b2) ||g||^2, a scalar for the whole table
    table <- table - lr * (m / (1 - b1^t)) / sqrt(s / (1 - b2^t))

AdamW divides each element by its own mean square. The row of an item that no prompt contains has a gradient near zero
(only as a wrong answer), and AdamW would move it as far as the row of an item that is bought every day. With a single
second moment a row moves in proportion to its gradient, so a rare item stays near its initial embedding. `lr` is the
norm of one update of the whole table, whatever its number of rows. Adam-mini also uses one second moment per block of
parameters, to save memory (arXiv 2406.16793).
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter


class ItemEmbeddingOptimizer(torch.optim.Optimizer):
    """Adam with one second moment per table.

    Args:
        tables: parameters [rows, width]; each has its own s.
        lr: norm of one update of a table.
        betas: b1 and b2.
        capturable: count steps on the device, as a CUDA graph needs; `lr` is then a tensor there.
    """

    def __init__(
        self,
        tables: Iterable[Parameter],
        lr: float | Tensor,
        betas: tuple[float, float] = (0.9, 0.999),
        capturable: bool = False,
    ) -> None:
        super().__init__(tables, {"lr": lr, "betas": betas, "capturable": capturable})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates each table that has a gradient; `closure` is called first, as in torch.optim."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._update(table, table.grad.float(), group)
        return loss

    def _update(self, table: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2), capturable = self.state[table], group["betas"], group["capturable"]
        if not state:
            state["step"] = torch.zeros((), device=table.device if capturable else None)
            state["square"] = torch.zeros((), device=table.device)
            state["exp_avg"] = torch.zeros_like(gradient)
        state["step"] += 1
        steps = state["step"] if capturable else int(state["step"])
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["square"].lerp_(gradient.square().sum(), 1 - beta2)
        norm = (state["square"] / (1 - beta2**steps)).sqrt().clamp(min=torch.finfo(torch.float32).tiny)
        table -= (state["exp_avg"] / norm * (group["lr"] / (1 - beta1**steps))).to(table.dtype)
