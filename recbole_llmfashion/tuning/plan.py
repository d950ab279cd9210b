"""Prepares a search: reads all files and checks all keys and options, before anything is written or Ray starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from recbole_llmfashion.config.command_line import Arguments
from recbole_llmfashion.config.dict_keys import flat
from recbole_llmfashion.config.evaluation_keys import TEST_ONLY, check_valid_metric, leave_out
from recbole_llmfashion.config.keys import TRACKING_KEYS, keys_of, recbole_defaults
from recbole_llmfashion.config.layers import merge_layers
from recbole_llmfashion.data.location import check_places
from recbole_llmfashion.errors import UserError, check_extra
from recbole_llmfashion.files.changes import check_writable
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
    """A validated search."""

    arguments: Arguments
    options: Options
    config: "LLMFashionConfig"
    space: Space
    settings: "SearchSettings"
    header: "Header"
    job: "Job"

    def identity(self) -> dict[str, Any]:
        """Values that --resume requires to be unchanged; stored in search.json."""
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
            "keys": _given_keys(self.config),
        }


def _given_keys(config: "LLMFashionConfig") -> dict[str, Any]:
    """The keys and config files of the user, without those that only name folders or output."""
    ignored = {"data_path", "checkpoint_dir", "show_progress", "state", "gpu_id", "use_gpu", *TRACKING_KEYS}
    files = [Path(file).read_text(encoding="utf-8") for file in config["config_layers"]]
    return {"files": files, "given": {k: v for k, v in config["command_line"].items() if k not in ignored}}


class Checked(NamedTuple):
    """What `check` found: the model, the folder of the dataset, and the search space."""

    spec: ModelSpec
    folder: Path
    space: Space


def check(arguments: Arguments, options: Options) -> Checked:
    """Checks what can be checked without importing RecBole.

    Raises:
        UserError: an unknown model, key, dataset or method, a missing file, a value of the wrong type, or a package
            of the extra `tune` is not installed.
    """
    if len(arguments.models) != 1:
        raise UserError(f"--model: expected one model, found {', '.join(arguments.models)}; search them one by one")
    if options.search not in METHODS:
        raise UserError(f"--search: expected one of {', '.join(METHODS)}, found '{options.search}'")
    name, dataset, given = arguments.models[0], arguments.dataset, arguments.overrides
    spec = get_model(name)
    merged = merge_layers(spec.lineage, dataset, arguments.config_files, given, accepted_models(name))
    check_valid_metric(merged)
    if leave_out(merged["eval_args"]) == TEST_ONLY:
        raise UserError("eval_args: a search needs validation rows; write split: {LS: valid_and_test}")
    folder = check_places(merged, dataset)
    check_writable(arguments.output, "--output")
    _check_processes(merged)
    # what is a whole number is a matter of the key, not of a user's 0 for 0.0
    shipped = dict(recbole_defaults(name)) | merge_layers(spec.lineage, dataset, model_names=accepted_models(name))
    types = {key: value for key, value in flat(shipped).items() if value is not None}
    values = dict.fromkeys(keys_of(spec.lineage)) | dict(recbole_defaults(name)) | merged
    space = read_space(options.params_file, spec.lineage, values | flat(values) | types)
    check_extra("tune", "optuna", "matplotlib")
    return Checked(spec, folder, space)


def _check_processes(keys: Mapping[str, Any]) -> None:
    """Raises UserError if a file or the command line gives a trial more than one process."""
    if (workers := keys.get("num_train_workers", 1)) != 1:
        raise UserError(
            f"num_train_workers: each trial of a search trains in one process, found {workers}; leave the key at 1"
        )
    if (jobs := keys["n_jobs"]) not in ("auto", 1):
        raise UserError(
            f"n_jobs: each trial of a search trains in one process, found {jobs}; Ray runs several trials at once; "
            "leave the key out"
        )


def plan(arguments: Arguments, options: Options, checked: Checked) -> Plan:
    """Reads and checks everything else that a search needs.

    Args:
        checked: of `check` with the same arguments and options.

    Raises:
        UserError: the model rejects a value.
    """
    from recbole_llmfashion.config.configurator import load_config
    from recbole_llmfashion.data.atomic.writer import folder_sha256
    from recbole_llmfashion.quick_start.dry_run import check_config, check_files
    from recbole_llmfashion.tuning.objective import Job
    from recbole_llmfashion.tuning.report import Header

    spec, folder, space = checked
    name, given = spec.name, arguments.overrides
    config = load_config(spec.model, arguments.dataset, arguments.config_files, given, accepted_models(name))
    check_config(config)
    check_files(config)
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
    if config["log_tensorboard"]:
        paths["log_tensorboard"] = str(Path(config["log_tensorboard"]).absolute())
    job = Job(
        model=name,
        dataset=arguments.dataset,
        config_files=tuple(str(Path(file).absolute()) for file in arguments.config_files),
        overrides={**given, **paths, "show_progress": False},
        threads=max(1, int(options.cpus_per_trial)),
        folder=os.getcwd(),
    )
    return Plan(arguments, options, config, space, settings, header, job)


def _ends(space: Space, config: "LLMFashionConfig", key: str) -> tuple[int, int]:
    """The smallest and the largest value of a whole-number key in the trials."""
    domain = space.domains.get(key)
    values = [config[key]] if domain is None else domain.grid() or [domain.low, domain.high]
    return int(min(values)), int(max(values))


def _settings(options: Options, space: Space, config: "LLMFashionConfig", spec: ModelSpec) -> "SearchSettings":
    from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
    from recbole_llmfashion.trainer.staged import REPORTED
    from recbole_llmfashion.tuning.searcher import SearchSettings

    samples = options.num_samples or SAMPLES
    if options.search == "grid":
        samples = len(space.grid())
        if options.num_samples not in (None, samples):
            raise UserError(f"--num_samples: a grid search runs all {samples} points; leave the option out")
    ours = issubclass(spec.trainer, LLMFashionRecTrainer)
    most = _ends(space, config, "epochs")[1] // _ends(space, config, "eval_step")[0]
    # LLMFashionRec's reports before the adapter is trained say little about its final ranking
    grace = options.grace_period if options.grace_period is not None else len(REPORTED) - 1 if ours else 4
    return SearchSettings(
        method=options.search,
        num_samples=samples,
        steps=len(REPORTED) if ours else most,
        grace_period=grace,
        reduction_factor=options.reduction_factor,
        bigger=bool(config["valid_metric_bigger"]),
        cpus=options.cpus_per_trial,
        gpus=options.gpus_per_trial,
        seed=int(config["seed"]),
    )
