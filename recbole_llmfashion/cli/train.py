"""The main job: models on one dataset, one table. What `run_recbole_llm.py` calls.

Status 0: every model has its row; 1: a model failed and its row says why; 2: the user can mend it, one line says how.
It knows no model: names go to the registry, keys to the config.
"""

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from recbole_llmfashion.cli.terminal import guarded, log_level
from recbole_llmfashion.config.command_line import Arguments, parse
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.atomic.folder import folder_sha256
from recbole_llmfashion.data.location import find_dataset
from recbole_llmfashion.evaluation import result_table
from recbole_llmfashion.evaluation.result import Result
from recbole_llmfashion.quick_start.experiment import run_experiment, run_row
from recbole_llmfashion.quick_start.registry import accepted_models, get_model


def main_job(argv: Sequence[str]) -> int:
    """Runs every model, prints the table, writes the output folder."""
    arguments = parse(argv)
    names = [*arguments.models, *({"Popularity"} - set(arguments.models))]
    specs = {name: get_model(name) for name in names}
    known = accepted_models(*names)
    configs = {
        name: load_config(spec.model, arguments.dataset, arguments.config_files, _keys_of(name, arguments), known)
        for name, spec in specs.items()
    }
    first = configs[names[0]]
    folder = find_dataset(Path(first["data_path"]), arguments.dataset)
    log_level(str(first["state"]))
    for name, spec in specs.items():
        spec.trainer.validate_config(configs[name])
    command = shlex.join(["run_recbole_llm.py", *argv])
    run = result_table.TableHeader(
        arguments.dataset, folder_sha256(folder, arguments.dataset), [first["seed"]], command
    )
    rows: dict[str, Result | str] = {}
    for name, config in configs.items():
        print(f"== {name} on {arguments.dataset}", file=sys.stderr, flush=True)
        rows[name] = run_row(config, partial(run_experiment, config, keep=True))
        result_table.write(arguments.output, run, rows)
    print(result_table.table(run, rows))
    print(f"written: {arguments.output}/table.md, results.json, ranks.parquet")
    return int(any(isinstance(row, str) for row in rows.values()))


def _keys_of(name: str, arguments: Arguments) -> dict[str, Any]:
    """The command line's keys for a row; one that is there unasked takes no key that would be wrong for it."""
    asked = name in arguments.models
    return {key: value for key, value in arguments.overrides.items() if asked or key != "cold_token"}


def main(argv: Sequence[str]) -> int:
    """Entry point."""
    return guarded(lambda: main_job(argv))
