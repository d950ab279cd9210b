"""`recbole-llmfashion run`, which run_recbole_llm.py calls too: models on one dataset, one table.

Status 0: every model has its row; 1: a model failed, and its row gives the reason; 2: an error of the user, one line.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from recbole_llmfashion.cli.options import (
    ConfigFiles,
    Dataset,
    DryRun,
    KeysCommand,
    Models,
    Output,
    arguments_of,
    run_app,
)
from recbole_llmfashion.cli.terminal import announce_loading, guarded, log_level
from recbole_llmfashion.config.command_line import Arguments

if TYPE_CHECKING:
    from recbole_llmfashion.config.configurator import LLMFashionConfig
    from recbole_llmfashion.evaluation.result import Result
    from recbole_llmfashion.evaluation.result_table import TableHeader

OUTPUT = "results/{dataset}"


def register(app: typer.Typer) -> None:
    """Adds `run` to the command line."""
    app.command("run", cls=KeysCommand)(run)


def run(
    context: typer.Context,
    model: Models,
    dataset: Dataset,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
) -> None:
    """Train, evaluate and compare models on one dataset.

    The Popularity baseline always gets a row. Writes table.md, results.json and ranks.parquet to results/<dataset>.
    """
    raise typer.Exit(main_job(arguments_of(context, model, dataset, output, config_files, OUTPUT), dry_run))


def main_job(arguments: Arguments, dry_run: bool = False) -> int:
    """Runs every model, prints the table, writes the output folder.

    Everything that needs no model is checked before RecBole is imported.

    Args:
        dry_run: check everything, print the settings and the counts of the data, and train nothing.

    Raises:
        UserError: an unknown model, key or dataset, a missing file, a value that a model rejects.
    """
    from recbole_llmfashion.config.evaluation_keys import check_valid_metric
    from recbole_llmfashion.config.layers import merge_layers
    from recbole_llmfashion.data.location import check_places
    from recbole_llmfashion.files.changes import check_writable, own_folder
    from recbole_llmfashion.quick_start.registry import accepted_models, get_model

    names = [*arguments.models, *({"Popularity"} - set(arguments.models))]
    specs = {name: get_model(name) for name in names}
    accepted = accepted_models(*names)
    files = arguments.config_files
    for name in [*names, *(name for name in accepted if name not in names)]:
        spec = get_model(name)
        left_out = _left_out(name, arguments)
        keys = merge_layers(spec.lineage, arguments.dataset, files, arguments.overrides, accepted, left_out=left_out)
        log_level(str(keys["state"]))
        check_valid_metric(keys)
        check_places(keys, arguments.dataset)
    check_writable(arguments.output, "--output")
    announce_loading()

    from recbole_llmfashion.config.configurator import load_config
    from recbole_llmfashion.quick_start import dry_run as dry

    configs = {
        name: load_config(
            spec.model, arguments.dataset, files, arguments.overrides, accepted, left_out=_left_out(name, arguments)
        )
        for name, spec in specs.items()
    }
    for config in configs.values():
        dry.check_config(config)
    if dry_run:
        print(dry.describe(configs))
        print("dry run: every check passed, nothing was trained")
        return 0
    with own_folder(arguments.output, "--output"):
        return _write_table(arguments, configs)


def _write_table(arguments: Arguments, configs: "Mapping[str, LLMFashionConfig]") -> int:
    """Runs the models and rewrites the output folder after each."""
    from recbole_llmfashion.evaluation import result_table
    from recbole_llmfashion.quick_start import experiment
    from recbole_llmfashion.quick_start.background import background
    from recbole_llmfashion.quick_start.row_tasks import number_of_processes, row_tasks, this_machine

    first = next(iter(configs.values()))
    header = _header(arguments, first)
    rows: dict[str, Result | str] = {}
    with background(row_tasks(list(configs.values())), number_of_processes(first, this_machine())):
        for name, config in configs.items():
            print(f"== {name} on {arguments.dataset}", file=sys.stderr, flush=True)
            rows[name] = experiment.run_row(config, partial(experiment.run_experiment, config, keep=True))
            result_table.write(arguments.output, header, rows)
    print(result_table.table(header, rows))
    print(f"written: {arguments.output}/table.md, results.json, ranks.parquet")
    return int(any(isinstance(row, str) for row in rows.values()))


def _header(arguments: Arguments, config: "LLMFashionConfig") -> "TableHeader":
    """What the rows share; reads the dataset, and keeps none of it while the models train."""
    from recbole_llmfashion.data.atomic.field_names import FieldNames
    from recbole_llmfashion.data.atomic.folder import read_folder
    from recbole_llmfashion.data.atomic.time_order import time_order
    from recbole_llmfashion.data.atomic.writer import folder_sha256
    from recbole_llmfashion.evaluation.result_table import TableHeader

    folder = Path(config["data_path"])
    order = time_order(read_folder(folder, arguments.dataset, names=FieldNames.of(config)).interactions)
    return TableHeader(
        arguments.dataset,
        folder_sha256(folder, arguments.dataset),
        [config["seed"]],
        arguments.command,
        order.entry(),
        order.warnings(),
    )


def _left_out(name: str, arguments: Arguments) -> tuple[str, ...]:
    """Keys that do not reach a row; keys of training are not for the Popularity row that is always added."""
    from recbole_llmfashion.config.layers import KEYS_OF_TRAINING

    return () if name in arguments.models else KEYS_OF_TRAINING


script = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
register(script)


def main(words: Sequence[str]) -> int:
    """Runs the words of run_recbole_llm.py; returns the exit status."""
    return guarded(lambda: run_app(script, words, "run_recbole_llm.py"))
