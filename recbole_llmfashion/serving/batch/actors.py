"""Shards of prompts on Ray Data: a pool of actors, each with a model, answers them in any order.

Ray moves the prompts, starts the actors, and where a node is lost starts them elsewhere and asks the lost shards again.
What an actor does is responder.py's; what comes back is handed on as it comes.
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
    begun: int,
    workers: int,
    cpus: int,
    gpus: float | None,
) -> Iterator[tuple[int, list[Response]]]:
    """Shards with the responses to their prompts, in the order in which they are ready; Ray must be up.

    Args:
        run: the run folder, absolute.
        shards: (number, prompts).
        begun: how many tokens the prompts of all shards begin with.
        workers: most actors; fewer where the nodes hold no more.
        cpus, gpus: of each; None takes a GPU where a node has one.

    Raises:
        UserError: no node has as much, and what a BatchWorker raises.
    """
    nodes = resources()
    if gpus is None:
        gpus = float(any(node.get("GPU", 0.0) >= 1 for node in nodes))
    most = min(workers, len(shards), workers_that_fit(nodes, cpus, gpus))
    if not most:
        raise UserError(
            f"--cpus_per_worker={cpus} --gpus_per_worker={gpus:g}: no node that is up has as much; ask for less"
        )
    _quiet()
    asked = ray.data.from_arrow([as_table(number, prompts) for number, prompts in shards])
    answered = asked.map_batches(
        BatchWorker,
        fn_constructor_args=(str(run), begun, cpus),
        batch_size=None,  # a block is a shard
        batch_format="pyarrow",
        # all at once, for a pool that begins with one grows too late; fewer go on where a node is lost
        compute=ActorPoolStrategy(min_size=1, initial_size=most, max_size=most, max_tasks_in_flight_per_actor=1),
        num_cpus=cpus,
        num_gpus=gpus,
    )
    try:
        for table in answered.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield from_table(table)
    except Exception as error:
        raise _ours(error) from None


def _ours(error: BaseException) -> BaseException:
    """The UserError that an actor raised, where that is what ended the job; Ray wraps it, more than once."""
    found: BaseException | None = error
    while found is not None:
        cause = getattr(found, "cause", None)
        if isinstance(cause, UserError):
            return UserError(str(cause))
        found = cause if isinstance(cause, BaseException) else found.__cause__
    return error


def _quiet() -> None:
    """One bar, ours."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
