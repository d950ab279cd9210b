"""Data-parallel training: how a batch is divided among worker processes and how their gradients are summed.

    gradient of a step = sum over workers of the gradient of their part     loss of a step = sum over workers

Each worker holds the whole model, as in DistributedDataParallel. With `count` workers, a worker takes every count-th
prompt of each batch and divides its loss by the number of target tokens of the whole step, so the sum over workers is
the gradient that a single process would compute. All workers then make the same step and remain identical.

PyTorch's DistributedDataParallel wrapper does not fit, for four reasons. It averages over workers, which is not the
mean over tokens. Its hooks are armed by its own `forward`, while the loss calls decoder and head separately (loss.py)
to compute only the needed logits. It starts the reduction during the backward pass, so a worker that runs out of
memory and repeats its part in smaller forwards would leave the others waiting. And a worker without a prompt in the
last batch has no backward pass at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import distributed
from torch.nn import Parameter

from recbole_llmfashion.errors import UserError

CPU = torch.device("cpu")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Workers:
    """One of `count` worker processes. All workers must call the same methods in the same order.

    Args:
        rank: number of this worker, from 0.
        count: number of workers; with 1 no method communicates or draws random numbers.
        device: device of the tensors that are communicated, a GPU for nccl.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default=CPU)

    @property
    def first(self) -> bool:
        """Whether this is the worker that writes files and logs."""
        return self.rank == 0

    def part(self, batch: np.ndarray) -> np.ndarray:
        """This worker's part of a batch [B]; neighbours, which are of similar length, go to different workers.

        >>> Workers(rank=1, count=2).part(np.array([4, 7, 1, 9, 3]))
        array([7, 9])
        """
        return batch if self.count == 1 else batch[self.rank :: self.count]

    def seed(self, seed: int, step: int) -> None:
        """Seeds torch for a step, so that workers draw different dropout masks and a resumed run repeats its own.

        A single worker keeps its current generator state.
        """
        if self.count > 1:
            state = np.random.SeedSequence([seed, step, self.rank]).generate_state(1, np.uint64)
            torch.manual_seed(int(state[0] >> np.uint64(1)))

    def total(self, values: np.ndarray) -> np.ndarray:
        """Elementwise sum over all workers, float64 of the same shape."""
        if self.count == 1:
            return values
        sums = torch.from_numpy(np.asarray(values, np.float64)).to(self.device)
        distributed.all_reduce(sums)
        return sums.cpu().numpy()

    def agree(self, work: Callable[[], Outcome]) -> Outcome:
        """Calls `work` on every worker; if it raises a UserError on one of them, all of them raise it.

        Raises:
            UserError: that of the first worker that raised one.
        """
        if self.count == 1:
            return work()
        result: Outcome | None = None
        error: UserError | None = None
        try:
            result = work()
        except UserError as raised:
            error = raised
        if self.total(np.asarray([error is not None])).any():
            errors: list[UserError | None] = [None] * self.count
            distributed.all_gather_object(errors, error)
            raise next(one for one in errors if one is not None)
        return result  # type: ignore[return-value]  # there was no error, so there is a result

    def add_gradients(self, parameters: Sequence[Parameter]) -> None:
        """Replaces each gradient by its sum over all workers; a worker without a gradient adds zeros.

        A gradient that exists keeps its place in memory, which the graphs of `cuda_graphs` read and write.
        """
        if self.count == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([gradient.float().flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        sums = flat.split([gradient.numel() for gradient in gradients])
        for parameter, gradient, total in zip(parameters, gradients, sums, strict=True):
            parameter.grad = gradient.copy_(total.view_as(gradient))


SINGLE_PROCESS = Workers()
