"""What the rows of a table leave to background processes, and how many processes a table gets (key `n_jobs`)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config
from recbole_llmfashion.cpu.memory import free_memory
from recbole_llmfashion.quick_start.background import Task
from recbole_llmfashion.quick_start.experiment import run_experiment, train_id_model
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.trainer.staged import StagedTrainer

LEAST_LOG = 2**19  # bytes of .inter; the models of a smaller log train in less time than a process takes to start
LEAST_MEMORY = 6 * 2**30  # free bytes for two processes with a small log
MEMORY_PER_BYTE = 40  # of the dataset's files, for the tables of one process
QUIET: Mapping[str, Any] = {"show_progress": False, "log_tensorboard": None, "log_wandb": False}


@dataclass(frozen=True)
class Machine:
    """What `n_jobs: auto` depends on.

    Args:
        cores: that this process may use.
        free_memory: bytes.
    """

    cores: int
    free_memory: int


def this_machine() -> Machine:
    """The machine at this moment."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(cores, free_memory())


@dataclass(frozen=True)
class RowTask:
    """Trains and validates a row, or trains its ID model alone.

    Args:
        model: name in the registry.
        dataset: its name.
        config_files: files of keys.
        keys: of the command line.
        model_names: other models whose keys may be among them.
        id_model: whether the ID model is all that is trained.
    """

    model: str
    dataset: str
    config_files: tuple[str, ...]
    keys: Mapping[str, Any]
    model_names: tuple[str, ...]
    id_model: bool = False

    @classmethod
    def of(cls, config: LLMFashionConfig, id_model: bool = False) -> "RowTask":
        """The task of a row with this config."""
        files, names = tuple(config["config_layers"]), tuple(config["model_names"])
        return cls(config["model"], config["dataset"], files, dict(config["command_line"]), names, id_model)

    def __call__(self) -> None:
        """Makes the stages."""
        spec, keys = get_model(self.model), {**self.keys, **QUIET}
        config = load_config(spec.model, self.dataset, self.config_files, keys, self.model_names)
        if self.id_model:
            train_id_model(config)
        else:
            run_experiment(config, test=False)


def row_tasks(configs: Sequence[LLMFashionConfig]) -> list[Task]:
    """What may be trained while the rows of these configs run one after the other."""
    later = [RowTask.of(config) for config in configs[1:] if get_model(config["model"]).trainer is not StagedTrainer]
    return background_tasks(configs[0], later)


def background_tasks(first: LLMFashionConfig, later: Sequence[Task]) -> list[Task]:
    """The order in which background processes take tasks: the ID model of the first row, then the last row, and so on.

    So this process and the others meet in the middle, and seldom wait for each other.

    Args:
        first: config of the row that this process begins with.
        later: the tasks of the rows after it, in the order of the table.
    """
    own = [RowTask.of(first, id_model=True)] if get_model(first["model"]).trainer.needs_id_model(first) else []
    return [*own, *reversed(later)]


def number_of_processes(config: LLMFashionConfig, machine: Machine) -> int:
    """How many processes run the rows of a table, this one included.

    `n_jobs: auto` is 2 where the models train on a CPU of two cores or more, the log is large enough to be worth the
    start of a process, memory is free for two, and nothing follows the training live; otherwise 1.

    Args:
        config: of the first row.
    """
    if config["n_jobs"] != "auto":
        return int(config["n_jobs"])
    one_process = (
        machine.cores < 2,
        config["device"].type != "cpu",
        bool(config["log_tensorboard"] or config["log_wandb"]),
    )
    return 1 if any(one_process) or not _worth(Path(config["data_path"]), config["dataset"], machine) else 2


def _worth(folder: Path, dataset: str, machine: Machine) -> bool:
    files = [folder / f"{dataset}.{suffix}" for suffix in ("inter", "item", "search")]
    sizes = [file.stat().st_size if file.is_file() else 0 for file in files]
    return sizes[0] >= LEAST_LOG and machine.free_memory >= LEAST_MEMORY + 2 * MEMORY_PER_BYTE * sum(sizes)
