"""The numbers of a training while it runs, for TensorBoard and Weights & Biases.

Whatever trains takes a `Track`, a function of a step and of named numbers, and knows neither of them. A name may have
parts, such as `finetuning/loss`; each group of names counts its own steps.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.write_errors import naming

Track = Callable[[int, Mapping[str, float]], None]  # step from 0, values by name


def no_track(step: int, values: Mapping[str, float]) -> None:
    """Drops the numbers."""


def under(track: Track, group: str) -> Track:
    """The same track with `<group>/` before each name; can be pickled.

    >>> under(lambda step, values: print(step, values), "CORE")(3, {"train/train_loss": 0.5})
    3 {'CORE/train/train_loss': 0.5}
    """
    return no_track if track is no_track else partial(_with_group, track, group)


def _with_group(track: Track, group: str, step: int, values: Mapping[str, float]) -> None:
    track(step, {f"{group}/{name}": value for name, value in values.items()})


@dataclass
class Tracker:
    """A Track that writes event files of TensorBoard, a run of Weights & Biases, both or nothing.

    A worker process gets a copy by pickling and opens files and a run of its own: TensorBoard reads all event files of
    a folder as one run, Weights & Biases shows the worker's run in the group `name`.

    Args:
        name: of the run, unique.
        folder: gets the folder `name` with the event files; None for no TensorBoard.
        wandb_project: project of the run; None for no Weights & Biases.
        keys: the settings of the run, shown beside its curves.
    """

    name: str
    folder: Path | None
    wandb_project: str | None
    keys: Mapping[str, Any] = field(default_factory=dict)
    _process: int = field(default_factory=os.getpid, init=False, repr=False)
    _writers: list[Any] | None = field(default=None, init=False, repr=False)

    def open(self) -> None:
        """Opens what is to be written to; the first number does so too.

        Raises:
            UserError: the folder cannot be written, or Weights & Biases cannot start a run.
        """
        if self._writers is None:
            self._writers = []  # closed by `close` also if the second one fails
            if self.folder is not None:
                self._writers.append(_TensorBoard(self.folder / self.name, self.keys))
            if self.wandb_project is not None:
                worker = os.getpid() != self._process
                name = f"{self.name}-worker" if worker else self.name
                self._writers.append(_WandB(self.wandb_project, name, self.name, self.keys))

    def __call__(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the values of one step."""
        self.open()
        for writer in self._writers or ():
            writer.write(step, values)

    def close(self) -> None:
        """Ends the run."""
        for writer in self._writers or ():
            writer.close()
        self._writers = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_writers": None}


class _TensorBoard:
    """Event files in a folder."""

    def __init__(self, folder: Path, keys: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with naming(folder, "log_tensorboard"):
            self._writer: Any = SummaryWriter(str(folder))
        if keys:
            self._writer.add_text("keys", "\n".join(f"    {key}: {value}" for key, value in sorted(keys.items())))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes and closes the file."""
        self._writer.close()


class _WandB:
    """A run of Weights & Biases: one that the caller has open, as in a sweep, or a new one."""

    def __init__(self, project: str, name: str, group: str, keys: Mapping[str, Any]) -> None:
        import wandb

        self._groups: set[str] = set()
        self._own = wandb.run is None
        try:
            self._run: Any = wandb.run or wandb.init(project=project, name=name, group=group, config=dict(keys))
        except Exception as error:  # no account, no network, a folder that cannot be written
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"log_wandb: {reason}; run `wandb login`, or set WANDB_MODE=offline") from error

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the values with the steps of their groups, as RecBole names them: train_step, valid_step, .."""
        steps = {}
        for name in values:
            group = name.rpartition("/")[0]
            steps[f"{group}_step" if group else "step"] = step
            if group not in self._groups:
                self._groups.add(group)
                prefix = f"{group}/" if group else ""
                self._run.define_metric(f"{prefix}*", step_metric=f"{group}_step" if group else "step")
        self._run.log({**values, **steps})

    def close(self) -> None:
        """Finishes a run of our own."""
        if self._own:
            self._run.finish()
