"""Starts Ray for one job, or joins a running cluster; usage statistics are disabled.

Before a job starts, every node of the cluster is checked: it must run the same versions and see the required folders.
"""

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.versions import versions

OBJECT_STORE = 100 * 2**20  # bytes; results are small, and Ray's default would reserve a third of the memory
CHECK_TIMEOUT = 120  # seconds; each node starts a Python process for its check


def use_current_environment() -> None:
    """Makes Ray workers use the current interpreter under `uv run`, as they do without uv.

    By default Ray copies the working directory without git-ignored files and builds a new environment from the packages
    of the `uv run` line: installed extras would be missing, and relative paths to dataset/ or saved/ would not exist.
    The environment variable is for later processes; in this process Ray has read it at import, so the constant is set
    as well.
    """
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV = False


@contextmanager
def cluster(
    address: str | None,
    num_cpus: int | None = None,
    *,
    option: str = "--address",
    folders: Sequence[Path] = (),
    object_store: int = OBJECT_STORE,
) -> Iterator[None]:
    """Context with a Ray cluster: a local one that is stopped at the end, or a running one that stays up.

    Args:
        address: host:port of a running cluster; None starts a local one.
        num_cpus: CPUs of the local cluster; default: all of the machine.
        option: name of the option that held the address, for error messages.
        folders: existing absolute paths that every node of the running cluster must see.
        object_store: size of the local cluster's object store in bytes.

    Raises:
        UserError: no cluster at the address, one of its nodes cannot run this job, or Ray fails to start.
    """
    use_current_environment()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no usage reports to Ray's authors
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the trial log replaces them
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the reporter that supports custom columns
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    started = not ray.is_initialized()
    if started:
        _start(address, option, num_cpus, object_store)
    try:
        if address:
            _check_nodes(option, folders)
        yield
    finally:
        if started:
            ray.shutdown()


def _start(address: str | None, option: str, num_cpus: int | None, object_store: int) -> None:
    arguments: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        arguments |= {"num_cpus": num_cpus, "include_dashboard": False, "object_store_memory": object_store}
    try:
        with _own_sigterm():
            ray.init(address=address or "local", **arguments)
    except Exception as error:  # ray.init raises RuntimeError, ValueError, TimeoutError and plain Exception
        text = " ".join(str(error).split())
        if address and "ersion mismatch" in text:
            raise UserError(
                f"{option}: the Ray cluster at '{address}' runs other versions ({text}); install the same there"
            ) from None
        if address:
            raise UserError(
                f"{option}: no Ray cluster at '{address}' ({text}); start one with `ray start --head`"
            ) from None
        raise UserError(f"Ray failed to start ({text}); see session_latest/logs in Ray's temporary folder") from None


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Restores the handler of SIGTERM; Ray's would end the process with status 15 and without a line."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _describe_node(folders: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Runs on a node: its versions, and the folders that it does not see."""
    return versions(), [folder for folder in folders if not Path(folder).is_dir()]


def _check_nodes(option: str, folders: Sequence[Path]) -> None:
    """Checks on every node that this package is installed in matching versions and that the folders exist."""
    paths, describe = [str(folder) for folder in folders], ray.remote(num_cpus=0)(_describe_node)
    checks = {
        f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})": describe.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(paths)
        for node in ray.nodes()
        if node["Alive"]
    }
    for node, check in checks.items():
        try:
            node_versions, missing = ray.get(check, timeout=CHECK_TIMEOUT)
        except Exception as error:  # if the node cannot import this package, any error of the import
            why = (" ".join(str(error).split()) or type(error).__name__)[-160:]
            raise UserError(f"{option}: node {node} cannot run recbole_llmfashion ({why}); install it there") from None
        if mismatch := version_mismatch(node_versions, versions()):
            raise UserError(f"{option}: node {node} runs {mismatch}; install the same versions there")
        if missing:
            raise UserError(
                f"{option}: node {node} does not see {missing[0]}; put it on a disk that all nodes share, at one path"
            )


def version_mismatch(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Describes the packages whose versions differ; Python's patch version is ignored.

    Args:
        there: versions of a node.
        here: versions of this process.

    Returns:
        text for an error message, empty if all versions match.

    Example:
        >>> version_mismatch({"torch": "2.1", "python": "3.11.2"}, {"torch": "2.2", "python": "3.11.7"})
        'torch 2.1 (here 2.2)'
    """

    def compared(name: str, version: str | None) -> str | None:
        return version.rpartition(".")[0] if name == "python" and version else version

    names = [name for name in here if compared(name, there.get(name)) != compared(name, here[name])]
    return ", ".join(f"{name} {there.get(name, 'not installed')} (here {here[name]})" for name in names)


def resources() -> list[dict[str, float]]:
    """Resources of each running node, by Ray's names (CPU, GPU)."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _requirements(cpus: float, gpus: float) -> dict[str, float]:
    """Nonzero resources of a worker, by Ray's names."""
    return {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}


def workers_that_fit(nodes: Sequence[Mapping[str, float]], cpus: float, gpus: float) -> int:
    """Number of workers with the given CPUs and GPUs that the nodes can run at once.

    Example:
        >>> workers_that_fit([{"CPU": 4.0}, {"CPU": 3.0, "GPU": 1.0}], cpus=2, gpus=0)
        3
    """
    required = _requirements(cpus, gpus)
    return sum(
        int(min((node.get(name, 0.0) / amount for name, amount in required.items()), default=1.0)) for node in nodes
    )


def max_concurrent_trials(cpus: float, gpus: float) -> int:
    """Number of trials that the running nodes can execute at once.

    Raises:
        UserError: no node is large enough for one; Ray would wait for such a node forever.
    """
    nodes = resources()
    total = workers_that_fit(nodes, cpus, gpus)
    if not total:
        names = _requirements(cpus, gpus)
        largest = ", ".join(f"{max(node.get(name, 0.0) for node in nodes):g} {name}s" for name in names)
        raise UserError(
            f"--cpus_per_trial={cpus:g} --gpus_per_trial={gpus:g}: no node has that many; the largest has {largest}"
        )
    return total
