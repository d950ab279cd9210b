"""A search that is checked before Ray starts; nothing is written."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_llmfashion.config.command_line import Arguments
from recbole_llmfashion.config.keys import keys_of, recbole_defaults
from recbole_llmfashion.config.layers import check_valid_metric, merge_layers
from recbole_llmfashion.data.location import find_dataset
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.registry import ModelSpec, accepted_models, get_model
from recbole_llmfashion.tuning.options import METHODS, SAMPLES, Options
from recbole_llmfashion.tuning.space import Space, read_space

if TYPE_CHECKING:
    from recbole_llmfashion.config.configurator import LLMFashionConfig
    from recbole_llmfashion.tuning.objective import Job
    from recbole_llmfashion.tuning.report import Header
    from recbole_llmfashion.tuning.searcher import SearchSettings


@dataclass(frozen=True)
class Plan:
    """A search that has been checked and not yet run."""

    arguments: Arguments
    options: Options
    config: "LLMFashionConfig"
    space: Space
    settings: "SearchSettings"
    header: "Header"
    job: "Job"

    def identity(self) -> dict[str, Any]:
        """What must be equal for --resume to continue a search."""
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


def _learning(config: "LLMFashionConfig") -> dict[str, Any]:
    """The keys and config files of the user, without those that only name folders or output."""
    aside = {"data_path", "checkpoint_dir", "show_progress", "state", "gpu_id", "use_gpu"}
    files = [Path(file).read_text(encoding="utf-8") for file in config["config_layers"]]
    return {"files": files, "given": {k: v for k, v in config["command_line"].items() if k not in aside}}


def check(arguments: Arguments, options: Options) -> tuple[ModelSpec, Path, Space]:
    """Finds what can be known to be wrong before RecBole is imported.

    Returns:
        the model, the dataset's folder, the search space.

    Raises:
        UserError: an unknown model, key, dataset or method, a missing file, a value of the wrong type.
    """
    if len(arguments.models) != 1:
        raise UserError(f"--model: expected one model, found {', '.join(arguments.models)}")
    if options.search not in METHODS:
        raise UserError(f"--search: expected one of {', '.join(METHODS)}, found '{options.search}'")
    name, dataset, given = arguments.models[0], arguments.dataset, arguments.overrides
    spec = get_model(name)
    merged = merge_layers(spec.lineage, dataset, arguments.config_files, given, accepted_models(name))
    check_valid_metric(merged)
    folder = find_dataset(Path(merged["data_path"]) / dataset, dataset)
    if int(given.get("num_train_workers", 1)) != 1:
        raise UserError("num_train_workers: a search trains each trial in one process, and runs several trials at once")
    values = dict.fromkeys(keys_of(spec.lineage)) | dict(recbole_defaults(name)) | merged
    return spec, folder, read_space(options.params_file, spec.lineage, values)


def plan(arguments: Arguments, options: Options) -> Plan:
    """Reads and checks everything that a search needs.

    Raises:
        UserError: what `check` finds, or a value that the model rejects.
    """
    spec, folder, space = check(arguments, options)

    from recbole_llmfashion.config.configurator import load_config
    from recbole_llmfashion.data.atomic.folder import folder_sha256
    from recbole_llmfashion.tuning.objective import Job
    from recbole_llmfashion.tuning.report import Header

    name, given = spec.name, arguments.overrides
    config = load_config(spec.model, arguments.dataset, arguments.config_files, given, accepted_models(name))
    spec.trainer.validate_config(config)
    settings = _settings(options, space, config, spec)
    sha = folder_sha256(folder, arguments.dataset)
    header = Header(
        model=name,
        dataset=arguments.dataset,
        metric=str(config["valid_metric"]),
        bigger=settings.bigger,
        trials=settings.num_samples,
        default=space.defaults(config),
        command=arguments.command,
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
        threads=max(1, int(options.cpus_per_trial)),
        folder=os.getcwd(),
    )
    return Plan(arguments, options, config, space, settings, header, job)


def _settings(options: Options, space: Space, config: "LLMFashionConfig", spec: ModelSpec) -> "SearchSettings":
    from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
    from recbole_llmfashion.trainer.staged import REPORTED
    from recbole_llmfashion.tuning.searcher import SearchSettings

    samples = options.num_samples or SAMPLES
    if options.search == "grid":
        samples = len(space.grid())
        if options.num_samples not in (None, samples):
            raise UserError(f"--num_samples: this grid has {samples} points and runs them all; leave the option out")
    ours = issubclass(spec.trainer, LLMFashionRecTrainer)
    epochs = space.domains.get("epochs")
    most = max(epochs.grid() or [epochs.high]) if epochs else config["epochs"]
    # LLMFashionRec's reports before the adapter is trained say little about its final ranking
    grace = options.grace_period if options.grace_period is not None else len(REPORTED) - 1 if ours else 4
    return SearchSettings(
        method=options.search,
        num_samples=samples,
        steps=len(REPORTED) if ours else int(most),
        grace_period=grace,
        reduction_factor=options.reduction_factor,
        bigger=bool(config["valid_metric_bigger"]),
        cpus=options.cpus_per_trial,
        gpus=options.gpus_per_trial,
        seed=int(config["seed"]),
    )
