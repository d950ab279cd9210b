"""Several workers that make one training together: which part of a batch is whose, and what they add up.

    step's gradient = sum over workers of their own part's gradient     step's loss = sum over workers of theirs

Each worker holds the whole model, as in DistributedDataParallel, takes every world-th prompt of each batch and divides
by the learned tokens of the whole step, so the sum is the gradient that one worker would have had. All workers then
make the same step from the same gradient and stay equal.

The sums stand here and not in PyTorch's DDP wrapper for four reasons. DDP averages over workers, which is not the mean
over tokens. Its hooks are armed by its own `forward`, while the loss runs the decoder and the head each by itself
(loss.py) to make no logits that nobody reads. It starts to sum within the backward, so that a worker whose memory runs
out, and which does its part again in smaller forwards, would leave the others waiting for ever. And a worker without a
prompt in the last batch has no backward at all. Knows no models; who starts the workers is not its business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn import Parameter

from recbole_llmfashion.errors import UserError

CPU = torch.device("cpu")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Workers:
    """One worker among `world`. Every worker must call the same methods in the same order.

    Args:
        rank: from 0.
        world: how many there are; with 1 nothing is sent, changed or drawn.
        device: where what is sent lies, a GPU for nccl.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default=CPU)

    @property
    def first(self) -> bool:
        """Whether this worker writes what all of them know."""
        return self.rank == 0

    def part(self, batch: np.ndarray) -> np.ndarray:
        """This worker's part of a batch [B]: each prompt is one worker's, neighbours in length go to different ones."""
        return batch if self.world == 1 else batch[self.rank :: self.world]

    def seed(self, seed: int, step: int) -> None:
        """Seeds dropout for a step: workers draw different masks, and one that goes on draws those it would have had.

        One worker alone keeps the generator that it has.
        """
        if self.world > 1:
            drawn = np.random.SeedSequence([seed, step, self.rank]).generate_state(1, np.uint64)
            torch.manual_seed(int(drawn[0] >> np.uint64(1)))

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sums of numbers over all workers, float64 of the same shape."""
        if self.world == 1:
            return values
        sums = torch.from_numpy(np.asarray(values, np.float64)).to(self.device)
        distributed.all_reduce(sums)
        return sums.cpu().numpy()

    def agree(self, work: Callable[[], Outcome]) -> Outcome:
        """Does something on every worker; where one of them finds what the user can mend, all of them raise it.

        Raises:
            UserError: the first worker's that had one.
        """
        if self.world == 1:
            return work()
        result: Outcome | None = None
        error: UserError | None = None
        try:
            result = work()
        except UserError as found:
            error = found
        if self.total(np.asarray([error is not None])).any():
            errors: list[UserError | None] = [None] * self.world
            distributed.all_gather_object(errors, error)
            raise next(one for one in errors if one is not None)
        return result  # type: ignore[return-value]  # there was no error, so there is a result

    def add_gradients(self, parameters: Sequence[Parameter]) -> None:
        """Puts the sum over all workers into `grad`; a worker without a gradient adds zeros."""
        if self.world == 1:
            return
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([gradient.float().flatten() for gradient in own])
        distributed.all_reduce(flat)
        sums = flat.split([gradient.numel() for gradient in own])
        for parameter, gradient in zip(parameters, sums, strict=True):
            parameter.grad = _like(gradient, parameter)


def _like(gradient: Tensor, parameter: Parameter) -> Tensor:
    return gradient.view_as(parameter).to(parameter.dtype)


SINGLE_PROCESS = Workers()
