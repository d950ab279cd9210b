"""Batch inference on Ray Data: a pool of actors, each with a model, processes shards of prompts in any order.

Ray distributes the prompts and starts the actors; if a node is lost, its shards are processed again on another node.
Responses are yielded as they arrive.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from recbole_llmfashion.distributed.cluster import resources, workers_that_fit
from recbole_llmfashion.errors import UserError, needs_extra
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.serving.batch.responder import BatchWorker, as_table, from_table

with needs_extra("cluster"):
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext


def answers(
    run: Path,
    shards: Sequence[tuple[int, Sequence[np.ndarray]]],
    prefix_length: int,
    workers: int,
    cpus: int,
    gpus: float | None,
) -> Iterator[tuple[int, list[Response]]]:
    """Yields the number and the responses of each shard as it is finished. Ray must be running.

    Args:
        run: absolute path of the run folder.
        shards: number and prompts of each shard.
        prefix_length: number of leading tokens that the prompts of all shards share.
        workers: maximum number of actors; fewer are started if the nodes have less room.
        cpus: CPUs of each actor.
        gpus: GPUs of each actor; None uses one if a node has a GPU.

    Raises:
        UserError: no node is large enough, or a BatchWorker raised it.
    """
    nodes = resources()
    if gpus is None:
        gpus = float(any(node.get("GPU", 0.0) >= 1 for node in nodes))
    most = min(workers, len(shards), workers_that_fit(nodes, cpus, gpus))
    if not most:
        raise UserError(
            f"--cpus_per_worker={cpus} --gpus_per_worker={gpus:g}: no running node has that many; choose fewer"
        )
    _quiet()
    shard_table = ray.data.from_arrow([as_table(number, prompts) for number, prompts in shards])
    response_tables = shard_table.map_batches(
        BatchWorker,
        fn_constructor_args=(str(run), prefix_length, cpus),
        batch_size=None,  # a block is a shard
        batch_format="pyarrow",
        # all actors start at once, as a growing pool grows too late; the pool may shrink if a node is lost
        compute=ActorPoolStrategy(min_size=1, initial_size=most, max_size=most, max_tasks_in_flight_per_actor=1),
        num_cpus=cpus,
        num_gpus=gpus,
    )
    try:
        for table in response_tables.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield from_table(table)
    except Exception as error:
        raise _user_error(error) from None


def _user_error(error: BaseException) -> BaseException:
    """The UserError that an actor raised, unwrapped from Ray's errors; any other error unchanged."""
    current: BaseException | None = error
    while current is not None:
        cause = getattr(current, "cause", None)
        if isinstance(cause, UserError):
            return UserError(str(cause))
        current = cause if isinstance(cause, BaseException) else current.__cause__
    return error


def _quiet() -> None:
    """Disables Ray's progress bars and messages."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
