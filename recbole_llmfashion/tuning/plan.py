"""A search before it runs: every file read, every key and option checked, nothing written and no Ray started."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.command_line import Arguments, parse
from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config
from recbole_llmfashion.config.layers import check_valid_metric
from recbole_llmfashion.data.atomic.folder import folder_sha256
from recbole_llmfashion.data.location import find_dataset
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.registry import ModelSpec, accepted_models, get_model
from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
from recbole_llmfashion.trainer.staged import REPORTED
from recbole_llmfashion.tuning import report
from recbole_llmfashion.tuning.objective import Job
from recbole_llmfashion.tuning.options import SAMPLES, USAGE, Options, options
from recbole_llmfashion.tuning.searcher import SearchSettings
from recbole_llmfashion.tuning.space import Space, read_space

OUTPUT = "results/{dataset}-search-{model}"


@dataclass(frozen=True)
class Plan:
    """A search that has been checked and not yet run."""

    arguments: Arguments
    options: Options
    config: LLMFashionConfig
    space: Space
    settings: SearchSettings
    header: report.Header
    job: Job

    def identity(self) -> dict[str, Any]:
        """What must be the same for --resume to go on with a search."""
        return {
            "model": self.header.model,
            "dataset": self.header.dataset,
            "data sha256": self.header.data_sha256,
            "params_file": self.space.to_json(),
            "search": self.settings.method,
            "valid_metric": self.header.metric,
            "seed": self.settings.seed,
            "grace_period": self.settings.grace_period,
            "reduction_factor": self.settings.reduction_factor,
            "keys": _learning(self.config),
        }


def _learning(config: LLMFashionConfig) -> dict[str, Any]:
    """The user's own keys and config files, less where things lie and what is shown."""
    aside = {"data_path", "checkpoint_dir", "show_progress", "state", "gpu_id", "use_gpu"}
    files = [Path(file).read_text(encoding="utf-8") for file in config["config_layers"]]
    return {"files": files, "given": {k: v for k, v in config["command_line"].items() if k not in aside}}


def plan(argv: Sequence[str]) -> Plan:
    """Reads and checks everything before Ray starts.

    Raises:
        UserError: what the user can mend.
    """
    arguments = parse(argv, flags=("use_tuned", "resume"), usage=USAGE, output=OUTPUT)
    given = dict(arguments.overrides)
    chosen = options(given)
    if len(arguments.models) != 1:
        raise UserError(f"--model: a search is of one model, found {', '.join(arguments.models)}")
    name = arguments.models[0]
    spec = get_model(name)
    config = load_config(spec.model, arguments.dataset, arguments.config_files, given, accepted_models(name))
    check_valid_metric(config)
    folder = find_dataset(Path(config["data_path"]), config["dataset"])
    spec.trainer.validate_config(config)
    if int(given.get("num_train_workers", 1)) != 1:
        raise UserError("num_train_workers: a search trains each trial in one process, and runs several trials at once")
    space = read_space(chosen.params_file, config)
    settings = _settings(chosen, space, config, spec)
    sha = folder_sha256(folder, arguments.dataset)
    command = shlex.join(["run_hyper.py", *(word for word in argv if word != "--resume")])
    header = report.Header(
        model=name,
        dataset=arguments.dataset,
        metric=str(config["valid_metric"]),
        bigger=settings.bigger,
        trials=settings.num_samples,
        default=space.defaults(config),
        command=command,
        data_sha256=sha,
        seed=settings.seed,
    )
    paths = {
        "data_path": str(folder.parent.absolute()),
        "checkpoint_dir": str(Path(config["checkpoint_dir"]).absolute()),
    }
    job = Job(
        model=name,
        dataset=arguments.dataset,
        config_files=tuple(str(Path(file).absolute()) for file in arguments.config_files),
        overrides={**given, **paths, "show_progress": False},
        threads=max(1, int(chosen.cpus_per_trial)),
        folder=os.getcwd(),
    )
    return Plan(arguments, chosen, config, space, settings, header, job)


def _settings(chosen: Options, space: Space, config: LLMFashionConfig, spec: ModelSpec) -> SearchSettings:
    samples = chosen.num_samples or SAMPLES
    if chosen.search == "grid":
        samples = len(space.grid())
        if chosen.num_samples not in (None, samples):
            raise UserError(f"--num_samples: this grid has {samples} points and runs them all; leave the option out")
    ours = issubclass(spec.trainer, LLMFashionRecTrainer)
    epochs = space.domains.get("epochs")
    most = max(epochs.grid() or [epochs.high]) if epochs else config["epochs"]
    # before the adapter answers, LLMFashionRec's reports say little of how it will rank
    grace = chosen.grace_period if chosen.grace_period is not None else len(REPORTED) - 1 if ours else 4
    return SearchSettings(
        method=chosen.search,
        num_samples=samples,
        steps=len(REPORTED) if ours else int(most),
        grace_period=grace,
        reduction_factor=chosen.reduction_factor,
        bigger=bool(config["valid_metric_bigger"]),
        cpus=chosen.cpus_per_trial,
        gpus=chosen.gpus_per_trial,
        seed=int(config["seed"]),
    )
