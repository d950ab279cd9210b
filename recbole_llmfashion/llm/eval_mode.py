"""Eval mode of a model as a context."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def eval_mode(model: Any) -> Iterator[None]:
    """Turns dropout off; the mode of before comes back, after an error too."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
