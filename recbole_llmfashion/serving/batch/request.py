"""What `recbole-llmfashion generate` was asked for, checked before anything runs. Knows no Ray."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.command_line import read_value, split_options
from recbole_llmfashion.errors import UserError

SPLITS = ("test", "valid")
USAGE = (
    "usage: recbole-llmfashion generate --run DIR [--split test|valid] [--num_workers 1] [--out DIR] "
    "[--address HOST:PORT] [--cpus_per_worker 1] [--gpus_per_worker N] [--shard_size 1024] [--dataset NAME] "
    "[--config_files='a.yaml b.yaml'] [--key=value ..]"
)


@dataclass(frozen=True)
class GenerateRequest:
    """A command line.

    Args:
        run: a run folder, exported or not.
        split: which rows are asked about.
        workers: processes of Ray; 0 does it all in this one, without Ray.
        out: where the shards go; None for results/<dataset>-<split>-responses.
        address: host:port of a running cluster; None starts Ray here.
        cpus, gpus: of each worker; None takes a GPU where a node has one.
        shard_size: most prompts of a shard, up to a whole batch.
        dataset: None for the run's own.
        config_files, overrides: keys of the rows, over those that the run was made with.
    """

    run: Path
    split: str
    workers: int
    out: Path | None
    address: str | None
    cpus: int
    gpus: float | None
    shard_size: int
    dataset: str | None
    config_files: tuple[str, ...]
    overrides: Mapping[str, Any]


def parse(argv: Sequence[str]) -> GenerateRequest:
    """The command's words.

    Raises:
        UserError: no run, a split that is none, a number out of range, a word that is no option.
    """
    given = split_options(argv, (), USAGE)
    if not given.get("run"):
        raise UserError(f"command line: --run is missing; {USAGE}")
    split = given.pop("split", SPLITS[0])
    if split not in SPLITS:
        raise UserError(f"--split: expected one of {', '.join(SPLITS)}, found '{split}'")
    out = given.pop("out", None)
    return GenerateRequest(
        run=Path(given.pop("run")),
        split=split,
        workers=_whole(given, "num_workers", 1, 0),
        out=Path(out) if out else None,
        address=given.pop("address", None),
        cpus=_whole(given, "cpus_per_worker", 1, 1),
        gpus=_gpus(given),
        shard_size=_whole(given, "shard_size", 1024, 1),
        dataset=given.pop("dataset", None),
        config_files=tuple(given.pop("config_files", "").split()),
        overrides={key: read_value(key, text) for key, text in given.items()},
    )


def _whole(given: dict[str, str], key: str, default: int, least: int) -> int:
    value = read_value(key, given.pop(key, str(default)))
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"--{key}: expected a number of {least} or more, found '{value}'")
    return value


def _gpus(given: dict[str, str]) -> float | None:
    if "gpus_per_worker" not in given:
        return None
    value = read_value("gpus_per_worker", given.pop("gpus_per_worker"))
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UserError(f"--gpus_per_worker: expected a number of 0 or more, found '{value}'")
    return float(value)
