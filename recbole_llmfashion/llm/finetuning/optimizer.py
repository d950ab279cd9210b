"""One optimizer step, the same for pre-training and fine-tuning: its rate, clipping, a guard against NaN.

Knows neither models nor data.
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.finetuning.item_optimizer import ItemEmbeddingOptimizer


class NotFiniteError(UserError):
    """A loss or a gradient that is NaN or infinite; the step was not made, so the weights are those before it.

    Attributes:
        prompts: whose loss it is, by index, where that is known.
    """

    prompts: Sequence[int] | None = None


def linear_rate(step: int, warmup: int, decay_from: int, total: int, floor: float) -> float:
    """Share of the learning rate at a step counted from 0.

    (step + 1) / warmup up to 1; then 1 until `decay_from`; then a line that reaches `floor` at `total`.
    """
    if step < warmup:
        return (step + 1) / warmup
    start = max(warmup, decay_from)
    if step < start or total <= start:
        return 1.0
    return max(floor, 1.0 - (1.0 - floor) * (step - start) / (total - start))


class Optimizer:
    """AdamW with a rate per step, and ItemEmbeddingOptimizer beside it for tables of rows.

    Args:
        parameters: what is trained; matrices decay, vectors (norms) do not.
        learning_rate: at the peak.
        weight_decay: of AdamW.
        betas: of AdamW.
        max_grad_norm: gradients are clipped to this global norm.
        scaled: fp16 compute; losses are scaled so that small gradients do not vanish.
        tables: of the parameters, those that ItemEmbeddingOptimizer moves; they do not decay.
        table_rate: its rate at the peak.
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
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        others = [p for p in self.parameters if not any(p is table for table in tables)]
        matrices = [p for p in others if p.ndim >= 2]
        vectors = [p for p in others if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        adamw = torch.optim.AdamW([g for g in groups if g["params"]], lr=learning_rate, betas=betas)
        self._peaks: dict[torch.optim.Optimizer, float] = {adamw: learning_rate}
        if tables:
            self._peaks[ItemEmbeddingOptimizer(tables, table_rate, betas)] = table_rate
        self._norm = max_grad_norm
        self._scaler = torch.amp.GradScaler("cuda", enabled=scaled)
        self.steps = 0

    def backward(self, loss: Tensor) -> float:
        """Adds the gradient of a loss; returns its value.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        value = float(loss.detach())
        if not isfinite(value):
            raise self._not_finite("loss", value)
        self._scaler.scale(loss).backward()
        return value

    def _not_finite(self, what: str, value: float) -> NotFiniteError:
        return NotFiniteError(
            f"training: the {what} is {value} at step {self.steps + 1}; lower the learning rate, or set "
            "compute_dtype: bf16 or fp32"
        )

    def step(self, rate: float) -> None:
        """Clips, updates and clears; `rate` is the share of the peak rates.

        Raises:
            NotFiniteError: the gradient is; a scaled one may be, then the scaler skips the step and lowers its scale.
        """
        for optimizer, peak in self._peaks.items():
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
            self._scaler.unscale_(optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self._norm))
        if not isfinite(norm) and not self._scaler.is_enabled():
            raise self._not_finite("gradient", norm)
        for optimizer in self._peaks:
            self._scaler.step(optimizer)
        self._scaler.update()
        self.clear()
        self.steps += 1

    def clear(self) -> None:
        """Forgets the gradients of a step that is not made."""
        for optimizer in self._peaks:
            optimizer.zero_grad(set_to_none=True)

    def moments(self) -> dict[str, Tensor]:
        """The optimizers' state as tensors named `<optimizer's place>.<parameter's place>.<name>`."""
        states = [optimizer.state_dict()["state"] for optimizer in self._peaks]
        return {
            f"{place}.{i}.{name}": value
            for place, state in enumerate(states)
            for i, values in state.items()
            for name, value in values.items()
        }

    def numbers(self) -> dict[str, Any]:
        """The rest of the state, ready for JSON."""
        return {"steps": self.steps, "scaler": self._scaler.state_dict()}

    def restore(self, moments: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Takes over what `moments` and `numbers` gave, so that the next step is the one that would have followed."""
        states: list[dict[int, dict[str, Tensor]]] = [{} for _ in self._peaks]
        for key, value in moments.items():
            place, i, name = key.split(".")
            states[int(place)].setdefault(int(i), {})[name] = value
        for optimizer, state in zip(self._peaks, states, strict=True):
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        if numbers["scaler"]:
            self._scaler.load_state_dict(numbers["scaler"])
        self.steps = int(numbers["steps"])
