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


def kept_bytes(forward: Callable[[], Tensor], model: nn.Module) -> int:
    """Bytes of the tensors that autograd keeps for the backward of a call, without the parameters of a model.

    No random number is drawn from PyTorch's generator.

    >>> layer = nn.Linear(3, 2, bias=False)
    >>> kept_bytes(lambda: layer(torch.zeros(5, 3)).exp().sum(), layer) == 4 * (5 * 3 + 5 * 2)
    True
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Any] = {}

    def keep(value: Tensor) -> Any:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage  # alive, so that no later tensor has its place
        return storage

    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(keep, _never):
        forward()
    return sum(storage.nbytes() for storage in kept.values())


def _never(_: Any) -> Tensor:
    raise AssertionError("the call is not followed by a backward")
