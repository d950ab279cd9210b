"""The request of `recbole-llmfashion generate`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPLITS = ("test", "valid")


@dataclass(frozen=True)
class GenerateRequest:
    """A request for batch inference.

    Args:
        run: a run folder, exported or not.
        split: the rows, `test` or `valid`.
        workers: number of Ray workers; 0 generates in this process, without Ray.
        out: folder of the shards; None for results/<dataset>-<split>-responses.
        address: host:port of a running Ray cluster; None starts Ray on this machine.
        cpus: cores of each worker.
        gpus: GPUs of each worker; None for one GPU on a node that has one.
        shard_size: most prompts of a shard, rounded up to a whole batch.
        dataset: None for the run's own.
        config_files: YAML files of keys over those of the run.
        overrides: keys over those.
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
