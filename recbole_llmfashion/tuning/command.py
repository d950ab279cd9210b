"""run_hyper.py: one model, one dataset, a params_file, a folder of results.

    uv run run_hyper.py --model=SASRec --dataset=footwear --params_file=properties/hyper/SASRec.yaml --num_samples=20

Every other --key=value holds for all trials, as in run_recbole_llm.py. Status 0: a trial finished; 1: none did; 2: the
user can mend it.
"""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from recbole_llmfashion.config import LLMFashionConfig, check_valid_metric, load_config
from recbole_llmfashion.data.atomic import folder_sha256
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.registry import ModelSpec, get_model
from recbole_llmfashion.run import Arguments, find_dataset, guarded, log_level, parse
from recbole_llmfashion.trainer import REPORTED, LLMFashionRecTrainer
from recbole_llmfashion.tuning import figures, report
from recbole_llmfashion.tuning.journal import FINISHED, Journal, Trial
from recbole_llmfashion.tuning.objective import STEP, VALUE, Job, make_objective
from recbole_llmfashion.tuning.search import SearchSettings, cluster, search
from recbole_llmfashion.tuning.space import Space, read_space

METHODS = ("optuna", "random", "grid")
USAGE = (
    "usage: run_hyper.py --model=NAME --dataset=NAME --params_file=FILE [--num_samples=20] "
    "[--search=optuna|random|grid] [--cpus_per_trial=1 --gpus_per_trial=0] [--grace_period=4 --reduction_factor=3] "
    "[--resume] [--address=HOST:PORT] [--output DIR] [--config_files='a.yaml b.yaml'] [--key=value ..]"
)
OUTPUT = "results/{dataset}-search-{model}"
SAMPLES = 20


@dataclass(frozen=True)
class Options:
    """What run_hyper.py takes beside the main job's arguments."""

    params_file: Path
    num_samples: int | None
    search: str
    cpus_per_trial: float
    gpus_per_trial: float
    grace_period: int | None
    reduction_factor: int
    resume: bool
    address: str | None


def options(given: dict[str, Any]) -> Options:
    """Takes the search's own options out of a parsed command line; what stays are keys of the model.

    Raises:
        UserError: no params_file, a value of another type, one that means nothing.
    """
    if "params_file" not in given:
        raise UserError(f"command line: --params_file is missing; {USAGE}")
    found = Options(
        params_file=Path(str(given.pop("params_file"))),
        num_samples=_number(given, "num_samples", None, 1),
        search=str(given.pop("search", METHODS[0])),
        cpus_per_trial=_number(given, "cpus_per_trial", 1, 0.1, float),
        gpus_per_trial=_number(given, "gpus_per_trial", 0, 0, float),
        grace_period=_number(given, "grace_period", None, 0),
        reduction_factor=_number(given, "reduction_factor", 3, 2),
        resume=bool(given.pop("resume", False)),
        address=given.pop("address", None),
    )
    if found.search not in METHODS:
        raise UserError(f"--search: expected one of {', '.join(METHODS)}, found '{found.search}'")
    return found


def _number(given: dict[str, Any], key: str, default: Any, least: float, kind: type[float] = int) -> Any:
    value: Any = given.pop(key, default)
    if value is default:
        return value
    if isinstance(value, bool) or not isinstance(value, int | kind) or value < least:
        raise UserError(f"--{key}: expected a number of {least} or more, found '{value}'")
    return value


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
    arguments = parse(argv, flags=("tuned", "resume"), usage=USAGE, output=OUTPUT)
    given = dict(arguments.overrides)
    chosen = options(given)
    if len(arguments.models) != 1:
        raise UserError(f"--model: a search is of one model, found {', '.join(arguments.models)}")
    name = arguments.models[0]
    spec = get_model(name)
    config = load_config(spec.model, arguments.dataset, arguments.config_files, given, [name, "CORE"])
    check_valid_metric(config)
    folder = find_dataset(config)
    if spec.trainer is not None:
        spec.trainer.check(config)
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
    ours = spec.trainer is not None and issubclass(spec.trainer, LLMFashionRecTrainer)
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


def claim_folder(folder: Path, identity: dict[str, Any], resume: bool) -> None:
    """Makes the output folder this search's own.

    Raises:
        UserError: it holds another search or other files, or there is nothing to resume.
    """
    settings = folder / report.SETTINGS
    if not settings.is_file():
        if resume:
            raise UserError(f"--resume: {folder} holds no search; leave --resume out to begin one")
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"--output: {folder} holds files of something else; choose a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(identity, indent=1), encoding="utf-8")
        return
    before = json.loads(settings.read_text(encoding="utf-8"))
    differing = [key for key in identity if json.loads(json.dumps(identity[key])) != before.get(key)]
    if not resume:
        hint = "choose a new folder" if differing else "--resume goes on with it"
        raise UserError(f"--output: {folder} holds a search already; {hint}")
    if differing:
        key = differing[0]
        raise UserError(f"--resume: {folder} holds a search with another {key}; choose a new folder for this one")


def main_job(argv: Sequence[str]) -> int:
    """Runs a search and writes its folder."""
    made = plan(argv)
    log_level(str(made.config["state"]))
    folder, header, keys = made.arguments.output, made.header, list(made.space.domains)
    claim_folder(folder, made.identity(), made.options.resume)
    journal = Journal(folder / "journal.jsonl")

    def on_end(trial: Trial) -> None:
        report.write(folder, header, journal, keys)

    with cluster(made.options.address):
        search(make_objective(made.job), made.space, made.settings, journal, header.default, on_end, _reporter(keys))
    report.write(folder, header, journal, keys)
    figures.draw(folder / "search.png", made.space, list(journal.trials.values()), header.metric, header.bigger)
    print(report.table(header, journal, keys))
    if len(journal.ended()) < made.settings.num_samples:
        raise UserError(f"stopped after {len(journal.ended())} trials; the same command with --resume goes on")
    print(f"written: {folder}/table.md, trials.parquet, search.png" + (", best.yaml" if journal.best() else ""))
    return int(not any(trial.status == FINISHED for trial in journal.ended()))


def _reporter(keys: list[str]) -> tune.ProgressReporter:
    """Ray's table of trials, on the terminal while the search runs."""
    return tune.CLIReporter(
        metric_columns={STEP: "report", VALUE: "validation", "time_total_s": "seconds"},
        parameter_columns=keys,
        max_report_frequency=15,
        max_progress_rows=20,
        sort_by_metric=True,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return guarded(lambda: main_job(sys.argv[1:] if argv is None else argv))
