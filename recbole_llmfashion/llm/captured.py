"""CUDA graphs: the kernels of a call are recorded once, and a GPU repeats them without Python.

Never run on a GPU. On a CPU nothing is recorded; the tests replay recorded operations in place of kernels.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from recbole_llmfashion.errors import UserError

Result = TypeVar("Result", bound=Tensor | None)


def graph_memory(device: torch.device) -> Any:
    """Memory that the graphs of a device can share if the result of each is read before the next one runs."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


@cache
def _stream(device: torch.device) -> Any:
    """The stream of all recordings of a device: graphs share memory within one stream alone."""
    return torch.cuda.Stream(device)


class Captured(Generic[Result]):
    """A function without arguments as a CUDA graph.

    The first call runs the function, as libraries choose their kernels then. The second records it, and this and each
    later call replays what was recorded. On another device each call runs the function.

    Args:
        function: reads and writes tensors that stay where they are, looks at no value of a GPU, and returns one tensor
            or None.
        device: of its tensors.
        memory: see `graph_memory`; None for memory of its own.

    Raises:
        UserError: at the second call, for a function that cannot be recorded.
    """

    def __init__(self, function: Callable[[], Result], device: torch.device, memory: Any = None) -> None:
        self._function, self._device, self._memory = function, device, memory
        self._warm = False
        self._graph: Any = None
        self._result: Result

    def __call__(self) -> Result:
        """The function's result; the next call may overwrite it."""
        if self._device.type != "cuda":
            return self._function()
        if not self._warm:
            self._warm = True
            return self._warm_up()
        if self._graph is None:
            self._record()
        self._graph.replay()
        return self._result

    def _warm_up(self) -> Result:
        """Runs the function on the stream that records it later."""
        current, own = torch.cuda.current_stream(self._device), _stream(self._device)
        own.wait_stream(current)
        with torch.cuda.stream(own):
            result = self._function()
        current.wait_stream(own)
        if result is not None:
            result.record_stream(current)
        return result

    def _record(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._memory, stream=_stream(self._device)):
                self._result = self._function()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(f"cuda_graphs: the model cannot be recorded ({reason}); set cuda_graphs: False") from error
        self._graph = graph
