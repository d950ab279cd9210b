"""How many prompts of a step fit into the memory of a CPU.

A GPU that is full raises an error, and the step goes on with fewer prompts per forward. Without a GPU the system ends
the process, so what the forward of one prompt keeps for its backward is counted before the first step:

    prompts per forward = free memory / (MARGIN * bytes kept by the longest prompt)
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

MARGIN = 2.0  # for what the backward needs beside it, and for freed memory that no longer fits


class KeptMemory:
    """Counts, while it is active, the memory that autograd keeps for a backward, without a model's parameters.

    >>> layer = nn.Linear(3, 2, bias=False)
    >>> with KeptMemory(layer) as kept:
    ...     loss = layer(torch.zeros(5, 3)).exp().sum()
    >>> kept.bytes == 4 * (5 * 3 + 5 * 2)
    True
    """

    def __init__(self, model: nn.Module) -> None:
        self._model, self._hooks = model, torch.autograd.graph.saved_tensors_hooks(self._keep, lambda value: value)
        self._storages: dict[int, Any] = {}  # alive, so that no later tensor has the place of an earlier one

    def _keep(self, value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        self._storages[storage._cdata] = storage  # no address: a meta tensor has none
        return value

    def __enter__(self) -> "KeptMemory":
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)

    @property
    def bytes(self) -> int:
        """So far."""
        own = {parameter.untyped_storage()._cdata for parameter in self._model.parameters()}
        return sum(storage.nbytes() for place, storage in self._storages.items() if place not in own)


def kept_bytes(forward: Callable[[], Tensor], model: nn.Module) -> int:
    """What a call keeps for its backward; PyTorch's random numbers are as they were before it."""
    with torch.random.fork_rng(devices=[]), KeptMemory(model) as kept:
        forward()
    return kept.bytes
