"""CUDA graphs without a GPU: the operations of a call are recorded once and repeated without its Python."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.helpers.copies import Copies


class _Tape(TorchDispatchMode):
    """Keeps each operation with the tensors that it read and wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def repeat(self) -> None:
        """Runs all operations on the same memory."""
        for func, args, kwargs, result in self.calls:
            for place, value in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(place, Tensor) and place.data_ptr() != value.data_ptr():
                    place.copy_(value)


class Recorded:
    """In place of `Captured`: runs a function, then records it, then repeats the recorded operations.

    A number that the function looks up when it is recorded stays what it was, and tensors stay where they were, as in a
    CUDA graph.

    Attributes:
        repeats: calls of all instances that ran recorded operations alone.
    """

    repeats = 0

    def __init__(self, function: Callable[[], Tensor | None], device: torch.device, memory: Any = None) -> None:
        self._function, self._warm = function, False
        self._tape: _Tape | None = None
        self._result: Tensor | None = None

    def __call__(self) -> Tensor | None:
        if not self._warm:
            self._warm = True
            return self._function()
        if self._tape is None:
            with Copies() as copies, _Tape() as self._tape:
                self._result = self._function()
            assert not copies.seen, copies.seen  # a GPU refuses to record them
        else:
            Recorded.repeats += 1
            self._tape.repeat()
        return self._result
