"""Ray itself: started for one search, or found running at an address, and never asked to phone home."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import ray_constants

from recbole_llmfashion.errors import UserError

OBJECT_STORE = 100 * 2**20  # bytes; results are a few numbers, Ray would set aside a third of the memory


def workers_like_here() -> None:
    """Under `uv run`, workers take the interpreter that runs here, as they do without uv.

    Ray's default copies the working directory without what git ignores, and makes another environment of it with the
    packages that the `uv run` line names: no extra that was installed before, and no dataset/ or saved/ where a
    relative path looks for it. The variable is for processes yet to come; Ray read it here when it was imported.
    """
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV = False


@contextmanager
def cluster(address: str | None, num_cpus: int | None = None) -> Iterator[None]:
    """Ray, started here for this search, or the cluster at an address, which stays up.

    Args:
        address: host:port of a running cluster; None starts one here.
        num_cpus: of the one that is started; None takes the machine's.

    Raises:
        UserError: nothing answers there, or Ray does not start here.
    """
    workers_like_here()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would phone home
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the journal is enough
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the reporter that takes our columns
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    started = not ray.is_initialized()
    if started:
        _start(address, num_cpus)
    try:
        yield
    finally:
        if started:
            ray.shutdown()


def _start(address: str | None, num_cpus: int | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        quiet |= {"num_cpus": num_cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
    try:
        ray.init(address=address or "local", **quiet)
    except Exception as error:  # Ray's own start raises RuntimeError, ValueError, TimeoutError and plain Exception
        text = " ".join(str(error).split())
        if address:
            raise UserError(
                f"--address: no Ray cluster at '{address}' ({text}); start one with `ray start --head`"
            ) from None
        raise UserError(f"Ray did not start here ({text}); its logs are in session_latest/logs of its folder") from None


def slots(cpus: float, gpus: float) -> int:
    """How many trials the nodes that are up can run at once.

    Raises:
        UserError: not one; Ray would wait for such a node for ever.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}
    fitting = [min((node.get(name, 0.0) / amount for name, amount in wanted.items()), default=1.0) for node in nodes]
    total = sum(map(int, fitting))
    if not total:
        most = ", ".join(f"{max(node.get(name, 0.0) for node in nodes):g} {name}s" for name in wanted)
        raise UserError(f"--cpus_per_trial={cpus:g} --gpus_per_trial={gpus:g}: no node has as much; the most is {most}")
    return total
