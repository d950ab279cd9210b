"""One trial: `run_experiment` without the test rows, in a Ray worker.

A trial reports RecBole's validation score during training, then one final report with its cost. If the model fails, the
error is reported and the search continues.
"""

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.dict_keys import merge_keys
from recbole_llmfashion.cpu.allocator import keep_freed_memory
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.result import Result
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import accepted_models, get_model

VALUE, STEP, END = "value", "step", "end"


@dataclass(frozen=True)
class Job:
    """Values shared by all trials of a search.

    Args:
        model: name of the model.
        dataset: name of the dataset.
        config_files: absolute paths of the config files of the command line.
        overrides: keys of the command line; paths are absolute.
        threads: number of threads of each worker.
        folder: working directory for relative paths.
    """

    model: str
    dataset: str
    config_files: tuple[str, ...]
    overrides: dict[str, Any]
    threads: int
    folder: str


def make_objective(job: Job) -> Callable[[dict[str, Any]], None]:
    """The function that Ray Tune calls with the values of a trial."""

    def trial(values: dict[str, Any]) -> None:
        run_trial(job, values, tune.report)

    return trial


def run_trial(job: Job, values: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
    """Runs one trial.

    Args:
        job: values shared by all trials.
        values: the searched keys of this trial.
        report: receives {step, value} at each validation, step from 1, and {step, value, end} once, also after a
            failure.
    """
    if Path(job.folder).is_dir():
        os.chdir(job.folder)
    keep_freed_memory()
    torch.set_num_threads(job.threads)
    last = 0

    def callback_fn(_: int, score: float) -> None:
        nonlocal last
        last += 1  # RecBole counts epochs, of which `eval_step` has one in several validated
        report({STEP: last, VALUE: score})

    try:
        spec = get_model(job.model)
        keys = merge_keys([("command line", job.overrides), ("trial", values)])
        config = load_config(spec.model, job.dataset, job.config_files, keys, accepted_models(job.model))
        result = run_experiment(config, callback_fn=callback_fn, test=False)
        if not result.valid:
            raise UserError("no validation row: no user has two purchases; a search needs validation rows")
        value, end = result.valid[str(config["valid_metric"]).lower()], finished(result)
    except Exception as error:
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        value, end = float("nan"), {"error": message, "traceback": traceback.format_exc()}
    report({STEP: last + 1, VALUE: value, END: end})


def finished(result: Result) -> dict[str, Any]:
    """The details of a finished trial: validation metrics, times, memory."""
    return {
        "valid": result.valid,
        "stage_seconds": {name: round(seconds, 3) for name, seconds in result.seconds.items()},
        "stages_reused": result.reused,
        "peak_memory_mb": round(result.peak_memory_mb, 1),
        "threads": torch.get_num_threads(),
    }
