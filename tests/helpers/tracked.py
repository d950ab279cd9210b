"""What a tracker wrote: points of event files, and a stand-in for Weights & Biases."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of each curve in the event files of one folder, by name."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("events.*")):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    found.setdefault(value.tag, []).append((event.step, value.tensor.float_val[0]))
    return found


class FakeWandb:
    """A module `wandb` that keeps what it gets.

    Attributes:
        begun: arguments of each `init`.
        logged: what `log` got.
        metrics: name -> the metric that counts its steps.
        finished: number of runs that ended.
    """

    def __init__(self, monkeypatch: Any) -> None:
        self.begun: list[dict[str, Any]] = []
        self.logged: list[dict[str, Any]] = []
        self.metrics: dict[str, str] = {}
        self.finished = 0
        self.module: Any = ModuleType("wandb")
        self.module.run, self.module.init = None, self._init
        self.module.__spec__ = sys.__spec__  # find_spec takes a module with a spec as installed
        monkeypatch.setitem(sys.modules, "wandb", self.module)

    def _init(self, **options: Any) -> "FakeWandb":
        self.begun.append(options)
        self.module.run = self
        return self

    def define_metric(self, name: str, step_metric: str) -> None:
        """As of a run of wandb."""
        self.metrics[name] = step_metric

    def log(self, values: dict[str, Any]) -> None:
        """As of a run of wandb."""
        self.logged.append(values)

    def finish(self) -> None:
        """As of a run of wandb."""
        self.finished += 1
        self.module.run = None
