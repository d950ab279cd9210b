"""`recbole-llmfashion tune`, which run_hyper.py calls too: a search over one model's keys.

Status 0: a trial finished; 1: none did; 2: an error of the user, one line.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recbole_llmfashion.cli.options import (
    ConfigFiles,
    Dataset,
    DryRun,
    KeysCommand,
    Model,
    Output,
    arguments_of,
    run_app,
)
from recbole_llmfashion.cli.terminal import announce_loading, guarded, log_level
from recbole_llmfashion.config.command_line import Arguments
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.tuning.options import METHODS, MOST, SAMPLES, Options

if TYPE_CHECKING:
    from recbole_llmfashion.tuning.plan import Plan

OUTPUT = "results/{dataset}-search-{model}"


def register(app: typer.Typer) -> None:
    """Adds `tune` to the command line."""
    app.command("tune", cls=KeysCommand)(tune)


def tune(
    context: typer.Context,
    model: Model,
    dataset: Dataset,
    params_file: Annotated[Path, typer.Option("--params_file", metavar="FILE", help="the search space")],
    num_samples: Annotated[
        int | None, typer.Option("--num_samples", min=1, help=f"trials; {SAMPLES} by default, all points of a grid")
    ] = None,
    search: Annotated[str, typer.Option("--search", metavar="METHOD", help="|".join(METHODS))] = METHODS[0],
    cpus_per_trial: Annotated[float, typer.Option("--cpus_per_trial", min=0.1, max=MOST, help="cores of a trial")] = 1,
    gpus_per_trial: Annotated[float, typer.Option("--gpus_per_trial", min=0, max=MOST, help="GPUs of a trial")] = 0,
    grace_period: Annotated[
        int | None,
        typer.Option("--grace_period", min=0, help="validations before ASHA may stop a trial; 0: never"),
    ] = None,
    reduction_factor: Annotated[
        int, typer.Option("--reduction_factor", min=2, help="ASHA continues the best 1/N of the trials")
    ] = 3,
    resume: Annotated[bool, typer.Option("--resume", help="continue the search in --output")] = False,
    address: Annotated[str | None, typer.Option("--address", metavar="HOST:PORT", help="a running Ray cluster")] = None,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
) -> None:
    """Search a model's keys with Ray Tune.

    Writes table.md, trials.parquet, search.png and best.yaml to results/<dataset>-search-<model>. Every other
    --key=value holds for all trials.
    """
    arguments = arguments_of(context, model, dataset, output, config_files, OUTPUT)
    options = Options(
        params_file,
        num_samples,
        search,
        cpus_per_trial,
        gpus_per_trial,
        grace_period,
        reduction_factor,
        resume,
        address,
    )
    raise typer.Exit(main_job(arguments, options, dry_run=dry_run))


def claim_folder(folder: Path, identity: dict[str, Any], resume: bool) -> None:
    """Makes the output folder this search's own.

    Raises:
        UserError: it holds another search, a damaged one or other files, or there is nothing to resume.
    """
    from recbole_llmfashion.files.changes import write_file
    from recbole_llmfashion.tuning.report import SETTINGS

    settings = folder / SETTINGS
    if not settings.is_file():
        if resume:
            raise UserError(f"--resume: {folder} holds no search; leave --resume out to begin one")
        if folder.exists() and any(path.name[0] != "." for path in folder.iterdir()):
            raise UserError(f"--output: {folder} holds files of something else; choose a new folder")
        write_file(settings, json.dumps(identity, indent=1), "--output")
        return
    before = _read_identity(settings)
    differing = [key for key in identity if json.loads(json.dumps(identity[key])) != before.get(key)]
    if not resume:
        hint = "choose a new folder" if differing else "--resume continues it"
        raise UserError(f"--output: {folder} holds a search already; {hint}")
    if differing:
        key = differing[0]
        raise UserError(f"--resume: {folder} holds a search with another {key}; choose a new folder for this one")


def _read_identity(settings: Path) -> dict[str, Any]:
    from recbole_llmfashion.tuning.trial_log import damaged

    try:
        identity = parse_json(settings.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(settings) from error
    if not isinstance(identity, dict):
        raise damaged(settings)
    return identity


def main_job(arguments: Arguments, options: Options, dry_run: bool = False) -> int:
    """Runs a search and writes its folder.

    Args:
        dry_run: check everything, print the space, the settings and the counts of the data, and search nothing.

    Raises:
        UserError: see `check` and `plan`; the folder is not this search's; it was stopped.
    """
    from recbole_llmfashion.files.changes import own_folder
    from recbole_llmfashion.tuning.plan import check, plan

    checked = check(arguments, options)
    announce_loading()
    search = plan(arguments, options, checked)
    log_level(str(search.config["state"]))
    if dry_run:
        return _describe(search)
    with own_folder(arguments.output, "--output"):
        claim_folder(arguments.output, search.identity(), options.resume)
        return _write_search(arguments.output, search, options)


def _write_search(folder: Path, search: "Plan", options: Options) -> int:
    """Runs the trials that are missing and rewrites the folder after each."""
    from recbole_llmfashion.distributed.cluster import cluster
    from recbole_llmfashion.tuning import figures, report
    from recbole_llmfashion.tuning.objective import make_objective
    from recbole_llmfashion.tuning.scheduler import reporter
    from recbole_llmfashion.tuning.scheduler import search as run_search
    from recbole_llmfashion.tuning.trial_log import FINISHED, Trial, TrialLog

    header, keys = search.header, list(search.space.domains)
    journal = TrialLog(folder / "journal.jsonl")

    def on_end(trial: Trial) -> None:
        report.write(folder, header, journal, keys)

    stopped = "stopped after {} trials; the same command with --resume continues"
    try:
        with cluster(options.address):
            objective = make_objective(search.job)
            run_search(objective, search.space, search.settings, journal, header.default, on_end, reporter(keys))
    except KeyboardInterrupt:
        raise UserError(stopped.format(len(journal.ended()))) from None
    report.write(folder, header, journal, keys)
    figures.draw(folder / "search.png", search.space, list(journal.trials.values()), header.metric, header.bigger)
    print((folder / "table.md").read_text(encoding="utf-8"))
    if len(journal.ended()) < search.settings.num_samples:
        raise UserError(stopped.format(len(journal.ended())))
    print(f"written: {folder}/table.md, trials.parquet, search.png" + (", best.yaml" if journal.best() else ""))
    return int(not any(trial.status == FINISHED for trial in journal.ended()))


def _describe(search: "Plan") -> int:
    from recbole_llmfashion.quick_start import dry_run

    print(f"== search: {search.settings.method}, {search.settings.num_samples} trials, by {search.header.metric}")
    for key, domain in search.space.to_json().items():
        print(f"{key}: {json.dumps(domain)}")
    print(f"\n{dry_run.describe({search.header.model: search.config})}")
    print("dry run: every check passed, nothing was searched")
    return 0


script = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
register(script)


def main(words: Sequence[str] | None = None) -> int:
    """Runs the words of run_hyper.py; returns the exit status."""
    return guarded(lambda: run_app(script, sys.argv[1:] if words is None else words, "run_hyper.py"))
