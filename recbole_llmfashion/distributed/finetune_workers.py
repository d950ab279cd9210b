"""A fine-tuning on several workers of Ray Train, on this machine or on a cluster.

Ray starts the workers, joins them (gloo between CPUs, nccl between GPUs) and starts them again where one dies; all go
on from the last state that the first one saved (llm/checkpoint.py). What a worker computes is finetuning.py's, how they
add it up llm/ranks.py's. On a cluster the folder of the stages lies on a disk that all nodes share.
"""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from logging import getLogger
from pathlib import Path
from typing import Any

import torch

from recbole_llmfashion.distributed.cluster import OBJECT_STORE, cluster, resources, workers_that_fit
from recbole_llmfashion.errors import UserError, needs_extra
from recbole_llmfashion.llm.finetuning.data_parallel import Workers
from recbole_llmfashion.llm.finetuning.job import FinetuneJob

with needs_extra("cluster"):
    import ray
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer, get_device

OPTION = "ray_address"
DEATHS = 3  # how often the workers are started again after one of them died
REFUSED = "refused.txt"  # what the user can mend, said by the workers


def finetune_on_workers(work: FinetuneJob, folder: Path, workers: int, address: str | None) -> None:
    """Fills `folder` as `work.run(folder)` would, by several workers.

    Args:
        folder: there, empty, absolute.
        workers: how many; each has the whole model, and a GPU where the nodes have some.
        address: host:port of a running cluster; None starts Ray here.

    Raises:
        UserError: no such cluster or one that cannot do it, too few GPUs or CPUs, and what `work.run` raises.
    """
    size = sum(array.nbytes for example in work.examples for array in example.arrays())
    cores = max(os.cpu_count() or 1, workers)
    running = work.checkpoint.path
    running.mkdir(parents=True, exist_ok=True)
    shared = [folder, running, *([Path(work.backbone.source)] if Path(work.backbone.source).is_dir() else [])]
    with cluster(address, cores, option=OPTION, folders=shared, object_store=OBJECT_STORE + 4 * size):
        getLogger(__name__).info(f"fine-tuning on {workers} workers of Ray; its last state is in {running}")
        storage = Path(tempfile.mkdtemp(prefix="ray-", dir=running))
        try:
            _fit(work, folder, storage, workers, *share(resources(), workers))
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    said = folder / REFUSED
    if said.is_file():
        raise UserError(said.read_text(encoding="utf-8"))


def share(nodes: Sequence[Mapping[str, float]], workers: int) -> tuple[int, int]:
    """CPUs and GPUs of each worker: a GPU where any node has one, and as many CPUs as all of them can have.

    Raises:
        UserError: the nodes do not hold so many workers; Ray would wait for more nodes for ever.
    """
    gpus = int(any(node.get("GPU", 0.0) >= 1 for node in nodes))
    most = int(max(node.get("CPU", 0.0) for node in nodes))
    cpus = next((c for c in range(most, 0, -1) if workers_that_fit(nodes, c, gpus) >= workers), 0)
    if not cpus:
        held = f"{workers_that_fit(nodes, 1, gpus)} {'GPUs that gpu_id lets them see' if gpus else 'CPUs'}"
        raise UserError(f"num_train_workers: {workers}, and the nodes that are up have {held}; ask for fewer")
    return cpus, gpus


def _fit(work: FinetuneJob, folder: Path, storage: Path, workers: int, cpus: int, gpus: int) -> None:
    told = {"work": ray.put(work), "folder": str(folder), "threads": cpus}
    each = {"CPU": float(cpus), **({"GPU": 1.0} if gpus else {})}
    trainer = TorchTrainer(
        train_on_worker,
        train_loop_config=told,
        scaling_config=ray.train.ScalingConfig(num_workers=workers, use_gpu=bool(gpus), resources_per_worker=each),
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=str(storage),
            failure_config=ray.train.FailureConfig(max_failures=DEATHS),
        ),
    )
    with _own_interrupt():
        trainer.fit()


def train_on_worker(told: dict[str, Any]) -> None:
    """What Ray Train runs on each worker; `told` is that of `_fit`."""
    torch.set_num_threads(told["threads"])
    context, device, folder = ray.train.get_context(), get_device(), Path(told["folder"])
    ranks = Workers(context.get_world_rank(), context.get_world_size(), device)
    work: FinetuneJob = ray.get(told["work"])
    try:
        # what a worker prints is not seen, so it draws no bars
        replace(work, backbone=replace(work.backbone, device=device), show_progress=False).run(folder, ranks)
    except UserError as error:  # all of them have it (Workers.agree); raised, Ray would try it again and again
        if ranks.first:
            (folder / REFUSED).write_text(str(error), encoding="utf-8")


@contextmanager
def _own_interrupt() -> Iterator[None]:
    """Ctrl-C is ours again after a training: Ray takes it for itself and ends the process with status 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)
