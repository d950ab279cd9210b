"""Every workaround for RecBole 1.2.1 on today's stack, one function each, with its upstream issue.

Import this module before `recbole`. It does not know any model, dataset or key of ours.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_REMOVED_ALIASES = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "bool8": np.bool_}


def restore_numpy_aliases() -> None:
    """`Config()` reads np.float_, np.complex_ and np.unicode_, which numpy 2 removed (RecBole #1714, #2203, #2215)."""
    for name, alias in _REMOVED_ALIASES.items():
        if name not in np.__dict__:
            setattr(np, name, alias)


@contextmanager
def command_line_hidden() -> Iterator[None]:
    """`Config()` reads sys.argv, drops what has a second "=" and evals the rest (RecBole #1147); hide it meanwhile."""
    argv = sys.argv
    sys.argv = argv[:1]
    try:
        yield
    finally:
        sys.argv = argv


@contextmanager
def own_checkpoint() -> Iterator[None]:
    """Lets torch.load read a checkpoint that this very run wrote (RecBole #2174, #2215).

    RecBole pickles its Config object into each checkpoint, which torch>=2.6 refuses. The switch is read at each call
    and is never left set: a file that somebody hands us stays refused.
    """
    name = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=f"Environment variable {name}")
            yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class _NoWriter:
    """Stands in for tensorboard's SummaryWriter."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


@contextmanager
def no_tensorboard_folder() -> Iterator[None]:
    """Each RecBole Trainer opens log_tensorboard/ in the working directory, unasked and with no key to say no."""
    import recbole.trainer.trainer as module

    before = module.get_tensorboard
    module.get_tensorboard = lambda logger: _NoWriter()
    try:
        yield
    finally:
        module.get_tensorboard = before


def anomaly_mode_off() -> None:
    """RecBole's sine.py switches autograd's anomaly mode on for the whole process when it is imported.

    Every model of the package is imported with it, and each operation then keeps a stack trace and each gradient is
    searched for NaN: every training in the process, RecBole's and ours, takes half as long again. Nobody has
    reported it upstream as far as we know.
    """
    import recbole.model.sequential_recommender  # noqa: F401  (imported first, so that no later import switches it on)

    torch.autograd.set_detect_anomaly(False)


restore_numpy_aliases()
