"""Ray itself: started for one search, or found running at an address, and never asked to phone home."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from recbole_llmfashion.errors import UserError

OBJECT_STORE = 100 * 2**20  # bytes; results are a few numbers, Ray would set aside a third of the memory


@contextmanager
def cluster(address: str | None, num_cpus: int | None = None) -> Iterator[None]:
    """Ray, started here for this search, or the cluster at an address, which stays up.

    Args:
        address: host:port of a running cluster; None starts one here.
        num_cpus: of the one that is started; None takes the machine's.

    Raises:
        UserError: nothing answers there.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would phone home
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the journal is enough
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the reporter that takes our columns
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    started = not ray.is_initialized()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if not started:
            pass
        elif address:
            ray.init(address=address, **quiet)
        else:
            ray.init(
                address="local", num_cpus=num_cpus, include_dashboard=False, object_store_memory=OBJECT_STORE, **quiet
            )
    except ConnectionError as error:
        text = " ".join(str(error).split())
        raise UserError(
            f"--address: no Ray cluster at '{address}' ({text}); start one with `ray start --head`"
        ) from None
    try:
        yield
    finally:
        if started:
            ray.shutdown()


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
