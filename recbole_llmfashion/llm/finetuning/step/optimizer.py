"""The optimizer step of pre-training and fine-tuning: learning rate, gradient clipping, and a check for NaN."""

from collections.abc import Callable, Iterable, Sequence
from math import cos, inf, isfinite, pi
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.captured import Captured
from recbole_llmfashion.llm.finetuning.step.item_optimizer import ItemEmbeddingOptimizer

Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]  # names of transformers


class NotFiniteError(UserError):
    """A loss or gradient is NaN or infinite. The step was not made, so the weights are unchanged.

    Attributes:
        prompts: indices of the prompts with that loss, None if unknown.
    """

    prompts: Sequence[int] | None = None


def linear_rate(step: int, warmup: int, decay_from: int, total: int, floor: float) -> float:
    """Factor of the peak learning rate: linear warm-up, constant, linear decay.

    Args:
        step: from 0.
        warmup: the factor is (step + 1) / warmup before this step.
        decay_from: the factor is 1 until this step.
        total: the factor falls linearly to `floor` at this step.
        floor: smallest factor after the warm-up.

    >>> [linear_rate(step, warmup=2, decay_from=2, total=6, floor=0.0) for step in range(7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    start = max(warmup, decay_from)
    if step < start or total <= start:
        return 1.0
    return max(floor, 1.0 - (1.0 - floor) * (step - start) / (total - start))


def scheduled_rate(scheduler: Scheduler, step: int, warmup: int, total: int) -> float:
    """Factor of the peak learning rate, as the schedules of transformers have it; the first step is not zero.

    Args:
        scheduler: linear and cosine fall to 0 at `total`; constant_with_warmup stays; constant has no warm-up.
        step: from 0.
        warmup: steps of the linear warm-up.
        total: steps of the whole training.

    >>> [round(scheduled_rate("cosine", step, warmup=2, total=6), 4) for step in range(7)]
    [0.5, 1.0, 1.0, 0.8536, 0.5, 0.1464, 0.0]
    """
    if scheduler == "constant":
        return 1.0
    if step < warmup or scheduler == "linear":
        return linear_rate(step, warmup, warmup, total, 0.0)
    if scheduler == "constant_with_warmup":
        return 1.0
    return 0.5 * (1.0 + cos(pi * min(1.0, (step - warmup) / max(1, total - warmup))))


def fusible(parameters: Sequence[Parameter]) -> bool:
    """Whether AdamW updates all parameters in one kernel: on a GPU.

    On a CPU that update takes as long as the plain one, whose figures tests and results rest on.
    """
    return all(parameter.device.type == "cuda" for parameter in parameters)


class Optimizer:
    """AdamW with a learning rate per step, plus an ItemEmbeddingOptimizer for item embedding tables.

    Args:
        parameters: those that require a gradient are trained; weight decay applies to matrices, not to vectors.
        learning_rate: peak of AdamW.
        weight_decay: of AdamW.
        betas: of both optimizers.
        max_grad_norm: gradients are clipped to this global norm; 0 for no clipping.
        scaled: whether to scale the loss for fp16, so that small gradients do not underflow.
        tables: those of the parameters that ItemEmbeddingOptimizer updates, without weight decay.
        table_rate: peak of ItemEmbeddingOptimizer.
        cuda_graphs: gradients stay where they are, as graphs of the backward need; clipping and both updates are graphs
            of their own, except with `scaled`, whose scaler looks at the gradients on the host.

    Attributes:
        learning_rate: AdamW's in the last step.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        learning_rate: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        max_grad_norm: float = 1.0,
        scaled: bool = False,
        tables: Sequence[Parameter] = (),
        table_rate: float = 0.0,
        cuda_graphs: bool = False,
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        others = [p for p in self.parameters if not any(p is table for table in tables)]
        matrices = [p for p in others if p.ndim >= 2]
        vectors = [p for p in others if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self._captured, device = cuda_graphs and not scaled, self.parameters[0].device
        lr, table_lr = (
            torch.tensor(peak, device=device) if self._captured else peak for peak in (learning_rate, table_rate)
        )
        adamw = torch.optim.AdamW(
            [g for g in groups if g["params"]],
            lr=lr,
            betas=betas,
            capturable=self._captured,
            fused=True if self._captured or fusible(self.parameters) else None,
        )
        self._peaks: dict[torch.optim.Optimizer, float] = {adamw: learning_rate}
        if tables:
            self._peaks[ItemEmbeddingOptimizer(tables, table_lr, betas, self._captured)] = table_rate
        self._norm = max_grad_norm or inf
        self._scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self.steps, self.learning_rate, self._fixed_gradients = 0, 0.0, cuda_graphs
        if cuda_graphs:
            for parameter in self.parameters:
                parameter.grad = torch.zeros_like(parameter)
        self._capture()

    def backward(self, loss: Tensor) -> float:
        """Adds the gradient of a loss and returns the loss.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        value = self.finite(loss)
        self.add_gradient(loss)
        return value

    def finite(self, loss: Tensor) -> float:
        """The loss as a number.

        Raises:
            NotFiniteError: it is NaN or infinite.
        """
        value = float(loss.detach())
        if not isfinite(value):
            raise self._not_finite("loss", value)
        return value

    def add_gradient(self, loss: Tensor) -> None:
        """Adds the gradient of a loss whatever its value, scaled for fp16."""
        self._scaler.scale(loss).backward()

    def _not_finite(self, what: str, value: float) -> NotFiniteError:
        return NotFiniteError(
            f"training: the {what} is {value} at step {self.steps + 1}; lower the learning rate, or set "
            "compute_dtype: bf16 or fp32"
        )

    def step(self, rate: float) -> None:
        """Clips the gradients, updates the parameters and clears the gradients.

        Args:
            rate: factor of the peak learning rates.

        Raises:
            NotFiniteError: the gradient is NaN or infinite. With loss scaling the scaler skips such a step instead and
                lowers its scale.
        """
        self.learning_rate = next(iter(self._peaks.values())) * rate
        for optimizer, peak in self._peaks.items():
            for group in optimizer.param_groups:
                if self._captured:
                    group["lr"].fill_(peak * rate)
                else:
                    group["lr"] = peak * rate
        norm = float(self._clip())
        if not isfinite(norm) and not self._scaler.is_enabled():
            raise self._not_finite("gradient", norm)
        self._update()
        self.steps += 1

    def _capture(self) -> None:
        """Makes clipping and updating two graphs, or leaves them functions; graphs before are of no use then."""
        self._clip: Callable[[], Tensor] = self._clip_gradients
        self._update: Callable[[], None] = self._update_parameters
        if self._captured:
            device = self.parameters[0].device
            self._clip, self._update = Captured(self._clip, device), Captured(self._update, device)

    def _clip_gradients(self) -> Tensor:
        for optimizer in self._peaks:
            self._scaler.unscale_(optimizer)
        return torch.nn.utils.clip_grad_norm_(self.parameters, self._norm)

    def _update_parameters(self) -> None:
        for optimizer in self._peaks:
            self._scaler.step(optimizer)
        self._scaler.update()
        self.clear()

    def clear(self) -> None:
        """Clears all gradients."""
        for optimizer in self._peaks:
            optimizer.zero_grad(set_to_none=not self._fixed_gradients)

    def moments(self) -> dict[str, Tensor]:
        """State tensors of the optimizers, named `<optimizer index>.<parameter index>.<name>`."""
        states = [optimizer.state_dict()["state"] for optimizer in self._peaks]
        return {
            f"{number}.{i}.{name}": value
            for number, state in enumerate(states)
            for i, values in state.items()
            for name, value in values.items()
        }

    def numbers(self) -> dict[str, Any]:
        """The rest of the state, as JSON types."""
        return {"steps": self.steps, "scaler": self._scaler.state_dict()}

    def restore(self, moments: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Restores the state that `moments` and `numbers` returned."""
        states: list[dict[int, dict[str, Tensor]]] = [{} for _ in self._peaks]
        for key, value in moments.items():
            number, i, name = key.split(".")
            states[int(number)].setdefault(int(i), {})[name] = value
        for optimizer, state in zip(self._peaks, states, strict=True):
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        if numbers["scaler"]:
            self._scaler.load_state_dict(numbers["scaler"])
        self._capture()
        self.steps = int(numbers["steps"])
