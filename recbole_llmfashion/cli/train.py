"""The main job: models on one dataset, one table. What `run_recbole_llm.py` calls.

Status 0: every model has its row; 1: a model failed and its row says why; 2: the user can mend it, one line says how.
It knows no model: names go to the registry, keys to the config.
"""

import errno
import logging
import shlex
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recbole_llmfashion.config.configurator import LLMFashionConfig, YamlLoader, lineage, load_config
from recbole_llmfashion.data.atomic.folder import folder_sha256
from recbole_llmfashion.errors import UserError, did_you_mean
from recbole_llmfashion.evaluation import result_table
from recbole_llmfashion.quick_start.experiment import Result, run_experiment
from recbole_llmfashion.quick_start.registry import get_model

SIMULATED = ("luggage_bags", "footwear", "accessories_jewelry", "clothing")
FLAGS = ("tuned",)  # keys that stand for themselves
OUTPUT = "results/{dataset}"
NO_ROOM = 2**20  # bytes
FREE_SPACE = "free space, then run the same command; finished stages stay"
USAGE = (
    "usage: run_recbole_llm.py --model=LLMFashionRec,CORE --dataset=footwear [--tuned] [--output DIR] "
    "[--config_files='a.yaml b.yaml'] [--key=value ..]"
)


@dataclass(frozen=True)
class Arguments:
    """A parsed command line."""

    models: list[str]
    dataset: str
    output: Path
    config_files: list[str]
    overrides: dict[str, Any]


def parse(argv: Sequence[str], flags: Sequence[str] = FLAGS, usage: str = USAGE, output: str = OUTPUT) -> Arguments:
    """`--key=value` or `--key value`; a value is read as YAML, never evaluated.

    Args:
        flags: keys that may stand for themselves, without a value.
        usage: ends the line about a mistake.
        output: where --output is not given; {dataset} and {model} stand for theirs.

    Raises:
        UserError: no model, no dataset, a key twice, a word that is no option.
    """
    given = split_options(argv, flags, usage)
    for key in ("model", "dataset"):
        if not given.get(key):
            raise UserError(f"command line: --{key} is missing; {usage}")
    models = list(dict.fromkeys(name.strip() for name in given.pop("model").split(",") if name.strip()))
    dataset = given.pop("dataset")
    folder = Path(given.pop("output", output.format(dataset=dataset, model="-".join(models))))
    files = given.pop("config_files", "").split()
    return Arguments(models, dataset, folder, files, {key: read_value(key, text) for key, text in given.items()})


def split_options(argv: Sequence[str], flags: Sequence[str], usage: str) -> dict[str, str]:
    """`--key=value`, `--key value`, and `--flag` as True, as text by key.

    Raises:
        UserError: a key twice, a key without a value, a word that is no option.
    """
    given: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UserError(f"command line: '{word}' is no option; {usage}")
        key, equals, value = word[2:].partition("=")
        if not equals and key in flags:
            value = "True"
        elif not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"command line: --{key} wants a value; {usage}")
            value = words.pop(0)
        if key in given:
            raise UserError(f"command line: --{key} stands there twice")
        given[key] = value
    return given


def read_value(key: str, text: str) -> Any:
    """An option's text as YAML has it; what is no YAML is a UserError."""
    try:
        return yaml.load(text, Loader=YamlLoader)
    except yaml.YAMLError:
        raise UserError(f"command line: --{key}={text} is not readable as a YAML value; quote it") from None


def find_dataset(config: LLMFashionConfig) -> Path:
    """The dataset's folder; where it is not there, a UserError says what would make it."""
    folder = Path(config["data_path"])
    if folder.is_dir():
        return folder
    name = config["dataset"]
    if name in SIMULATED:
        made = f"recbole-llmfashion simulate --category {name} --users 2000 --seed 1 --out {folder}"
        raise UserError(f"--dataset: {folder} is not there; make it with: {made}")
    root = folder.parent
    known = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    hint = did_you_mean(name, [*known, *SIMULATED], f"{root} holds: {', '.join(known) or 'nothing'}")
    raise UserError(f"--dataset: unknown dataset '{name}'; {hint}")


def main_job(argv: Sequence[str]) -> int:
    """Runs every model, prints the table, writes the output folder."""
    arguments = parse(argv)
    names = [*arguments.models, *({"Popularity"} - set(arguments.models))]
    specs = {name: get_model(name) for name in names}
    # the rows whose keys reach other rows: CORE's table is LLMFashionRec's, whose memory is QueryMemory's
    known = [name for spec in specs.values() for name in lineage(spec.model)]
    known += ["CORE", *(["LLMFashionRec"] if "QueryMemory" in names else [])]
    configs = {
        name: load_config(spec.model, arguments.dataset, arguments.config_files, _keys_of(name, arguments), known)
        for name, spec in specs.items()
    }
    first = configs[names[0]]
    folder = find_dataset(first)
    log_level(str(first["state"]))
    for name, spec in specs.items():
        if spec.trainer is not None:
            spec.trainer.check(configs[name])
    command = shlex.join(["run_recbole_llm.py", *argv])
    run = result_table.Run(arguments.dataset, folder_sha256(folder, arguments.dataset), [first["seed"]], command)
    rows: dict[str, Result | str] = {}
    for name, config in configs.items():
        print(f"== {name} on {arguments.dataset}", file=sys.stderr, flush=True)
        rows[name] = _row(config)
        result_table.write(arguments.output, run, rows)
    print(result_table.table(run, rows))
    print(f"written: {arguments.output}/table.md, results.json, ranks.parquet")
    return int(any(isinstance(row, str) for row in rows.values()))


def _keys_of(name: str, arguments: Arguments) -> dict[str, Any]:
    """The command line's keys for a row; one that is there unasked takes no key that would be wrong for it."""
    asked = name in arguments.models
    return {key: value for key, value in arguments.overrides.items() if asked or key != "cold_token"}


def _row(config: LLMFashionConfig) -> Result | str:
    """A model's result, or why it failed."""
    try:
        return run_experiment(config, keep=True)
    except UserError:
        raise
    except Exception as error:
        return reason(error, config)


def reason(error: Exception, config: LLMFashionConfig) -> str:
    """Why a row failed, in a line; the traceback goes to stderr.

    Raises:
        UserError: the disk is full, so every other row would fail as well.
    """
    if disk_full(error, Path(config["checkpoint_dir"])):
        raise UserError(f"disk full at {config['checkpoint_dir']}: {FREE_SPACE}") from error
    traceback.print_exception(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def disk_full(error: Exception, folder: Path) -> bool:
    """Whether a failure is a full disk: torch and safetensors raise their own errors where a write found no room."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return True
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free < NO_ROOM


def log_level(state: str) -> None:
    """Sets how much is logged to the terminal, by RecBole's key `state`."""
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if state.upper() not in levels:
        raise UserError(f"state: expected one of {', '.join(levels)}, found '{state}'")
    logging.basicConfig(level=state.upper(), format="%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("recbole_llmfashion").setLevel(min(logging.INFO, getattr(logging, state.upper())))
    for noisy in ("httpx", "urllib3", "faiss", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def guarded(work: Callable[[], int]) -> int:
    """Runs a command; what the user can mend becomes one line on stderr and status 2, finished stages stay."""
    warnings.simplefilter("ignore", FutureWarning)
    try:
        return work()
    except UserError as error:
        line = str(error)
    except KeyboardInterrupt:
        line = "stopped by Ctrl-C; finished stages stay, the same command goes on from the last one"
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        line = f"disk full{f' at {error.filename}' if error.filename else ''}: {FREE_SPACE}"
    print(f"error: {' '.join(line.split())}", file=sys.stderr)
    return 2


def main(argv: Sequence[str]) -> int:
    """Entry point."""
    return guarded(lambda: main_job(argv))
