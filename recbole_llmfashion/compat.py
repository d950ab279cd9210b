"""Workarounds for RecBole 1.2.1 on current numpy and torch, one function each, with the upstream issue.

Import this module before `recbole`.
"""

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
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
    """Hides sys.argv: RecBole's `Config()` reads it, drops options with a second "=" and evals the rest (#1147)."""
    argv = sys.argv
    sys.argv = argv[:1]
    try:
        yield
    finally:
        sys.argv = argv


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Sets a variable of this process, and of processes that start inside the context."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def own_checkpoint() -> Iterator[None]:
    """Lets torch.load read a checkpoint that this process wrote (RecBole #2174, #2215).

    RecBole pickles its Config object into each checkpoint, which torch>=2.6 refuses to load. torch reads the
    environment variable at each call; it is set inside the context only, so files from other sources stay refused.
    """
    name = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    with environment_variable(name, "1"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f"Environment variable {name}")
        yield


class _NoWriter:
    """A SummaryWriter of TensorBoard, or a logger of Weights & Biases, that writes nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


@contextmanager
def trackers_off() -> Iterator[None]:
    """Builds RecBole's Trainer without its own loggers; tracking.py does their work.

    RecBole creates log_tensorboard/ in the working directory, which no key turns off, and hands its whole Config to
    Weights & Biases.
    """
    import recbole.trainer.trainer as module

    before = module.get_tensorboard, module.WandbLogger
    module.get_tensorboard = module.WandbLogger = lambda logger_or_config: _NoWriter()
    try:
        yield
    finally:
        module.get_tensorboard, module.WandbLogger = before


@contextmanager
def prints_hidden() -> Iterator[None]:
    """Hides what a model prints while it is built: RecBole's FEARec prints four lines per layer, on stdout."""
    with redirect_stdout(io.StringIO()):
        yield


@contextmanager
def chained_fillna_hidden() -> Iterator[None]:
    """Hides pandas' FutureWarning about `frame[column].fillna(inplace=True)` in RecBole's Dataset.

    It takes several lines for each column, and no upstream issue is known. The filter names RecBole's module, and holds
    inside the context only.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"recbole\.data\.dataset\.dataset")
        yield


def build_model(model_class: Any, config: Any, rows: Any) -> Any:
    """A model of RecBole or of this package on its training rows; what it prints meanwhile is hidden."""
    with prints_hidden():
        return model_class(config, rows)


def anomaly_mode_off() -> None:
    """Switches off autograd's anomaly mode, which RecBole's sine.py switches on for the whole process when imported.

    In anomaly mode each operation stores a stack trace and each gradient is checked for NaN, so that all training in
    the process takes about 1.5 times as long. No upstream issue is known.
    """
    import recbole.model.sequential_recommender  # noqa: F401  (imported here, so that no later import switches it on)

    torch.autograd.set_detect_anomaly(False)


restore_numpy_aliases()
