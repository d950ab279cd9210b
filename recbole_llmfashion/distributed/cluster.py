"""Ray itself: started for one job, or found running at an address, and never asked to phone home.

A cluster is asked at the start whether all of its nodes run what runs here and see the folders that they will need.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.versions import versions

OBJECT_STORE = 100 * 2**20  # bytes; results are a few numbers, Ray would set aside a third of the memory
ANSWER_WITHIN = 120  # seconds; a node starts a Python for its answer


def use_current_environment() -> None:
    """Under `uv run`, workers take the interpreter that runs here, as they do without uv.

    Ray's default copies the working directory without what git ignores, and makes another environment of it with the
    packages that the `uv run` line names: no extra that was installed before, and no dataset/ or saved/ where a
    relative path looks for it. The variable is for processes yet to come; Ray read it here when it was imported.
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
    """Ray, started here for this job, or the cluster at an address, which stays up.

    Args:
        address: host:port of a running cluster; None starts one here.
        num_cpus: of the one that is started; None takes the machine's.
        option: where the address was given, for the line about a mistake.
        folders: absolute, there, which every node at the address must see.
        object_store: bytes of the one that is started, for what is handed to its workers.

    Raises:
        UserError: nothing answers there, a node there cannot do this job, or Ray does not start here.
    """
    use_current_environment()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would phone home
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the journal is enough
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the reporter that takes our columns
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
    given: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        given |= {"num_cpus": num_cpus, "include_dashboard": False, "object_store_memory": object_store}
    try:
        ray.init(address=address or "local", **given)
    except Exception as error:  # Ray's own start raises RuntimeError, ValueError, TimeoutError and plain Exception
        text = " ".join(str(error).split())
        if address and "ersion mismatch" in text:
            raise UserError(
                f"{option}: the Ray cluster at '{address}' runs other versions ({text}); install there what runs here"
            ) from None
        if address:
            raise UserError(
                f"{option}: no Ray cluster at '{address}' ({text}); start one with `ray start --head`"
            ) from None
        raise UserError(f"Ray did not start here ({text}); its logs are in session_latest/logs of its folder") from None


def _about_node(folders: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """On a node: what it runs, and which of the folders it does not see."""
    return versions(), [folder for folder in folders if not Path(folder).is_dir()]


def _check_nodes(option: str, folders: Sequence[Path]) -> None:
    """Asks every node that is up whether it can do this job: without this package, with other versions of what decides
    numbers or without a folder it cannot.
    """
    told, ask = [str(folder) for folder in folders], ray.remote(num_cpus=0)(_about_node)
    asked = {
        f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})": ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(told)
        for node in ray.nodes()
        if node["Alive"]
    }
    for node, answer in asked.items():
        try:
            there, missing = ray.get(answer, timeout=ANSWER_WITHIN)
        except Exception as error:  # what a node raises that cannot import us is whatever its import raised
            why = (" ".join(str(error).split()) or type(error).__name__)[-160:]
            raise UserError(f"{option}: node {node} cannot run recbole_llmfashion ({why}); install it there") from None
        if other := version_mismatch(there, versions()):
            raise UserError(f"{option}: node {node} runs {other}; install there what runs here")
        if missing:
            raise UserError(
                f"{option}: node {node} does not see {missing[0]}; put it on a disk that all nodes share, at one path"
            )


def version_mismatch(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """What a node has otherwise, in words; empty where nothing. Of Python the last number does not count."""

    def matters(name: str, found: str | None) -> str | None:
        return found.rpartition(".")[0] if name == "python" and found else found

    names = [name for name in here if matters(name, there.get(name)) != matters(name, here[name])]
    return ", ".join(f"{name} {there.get(name, 'of no version')} (here {here[name]})" for name in names)


def resources() -> list[dict[str, float]]:
    """What each node that is up has, by Ray's names: CPU, GPU."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _wanted(cpus: float, gpus: float) -> dict[str, float]:
    """What a worker takes, by Ray's names."""
    return {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}


def workers_that_fit(nodes: Sequence[Mapping[str, float]], cpus: float, gpus: float) -> int:
    """How many workers of so many CPUs and GPUs the nodes hold."""
    wanted = _wanted(cpus, gpus)
    return sum(
        int(min((node.get(name, 0.0) / amount for name, amount in wanted.items()), default=1.0)) for node in nodes
    )


def max_concurrent_trials(cpus: float, gpus: float) -> int:
    """How many trials the nodes that are up can run at once.

    Raises:
        UserError: not one; Ray would wait for such a node for ever.
    """
    nodes = resources()
    total = workers_that_fit(nodes, cpus, gpus)
    if not total:
        most = ", ".join(f"{max(node.get(name, 0.0) for node in nodes):g} {name}s" for name in _wanted(cpus, gpus))
        raise UserError(f"--cpus_per_trial={cpus:g} --gpus_per_trial={gpus:g}: no node has as much; the most is {most}")
    return total
