"""The options of run_hyper.py beside those of the main job. Knows no Ray and reads no file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError

METHODS = ("optuna", "random", "grid")
USAGE = (
    "usage: run_hyper.py --model=NAME --dataset=NAME --params_file=FILE [--num_samples=20] "
    "[--search=optuna|random|grid] [--cpus_per_trial=1 --gpus_per_trial=0] [--grace_period=4 --reduction_factor=3] "
    "[--resume] [--address=HOST:PORT] [--output DIR] [--config_files='a.yaml b.yaml'] [--key=value ..]"
)
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
