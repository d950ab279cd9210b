"""Data-parallel fine-tuning on Ray Train workers, on this machine or on a cluster.

Ray starts the workers, connects them (gloo on CPUs, nccl on GPUs) and restarts them if one fails; they resume from the
last checkpoint of worker 0 (llm/finetuning/checkpoint.py). Each worker runs a FinetuneJob (llm/finetuning/job.py);
gradients are summed in llm/finetuning/step/data_parallel.py. On a cluster the folder of the stages must be on a shared
disk.
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

from recbole_llmfashion.cpu.allocator import keep_freed_memory
from recbole_llmfashion.distributed.cluster import OBJECT_STORE, cluster, resources, workers_that_fit
from recbole_llmfashion.errors import UserError, needs_extra
from recbole_llmfashion.llm.finetuning.job import FinetuneJob
from recbole_llmfashion.llm.finetuning.step.data_parallel import Workers

with needs_extra("cluster"):
    import ray
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer, get_device

OPTION = "ray_address"
MAX_RESTARTS = 3  # restarts of all workers after one of them died
ERROR_FILE = "refused.txt"  # message of a UserError that the workers raised


def finetune_on_workers(job: FinetuneJob, folder: Path, workers: int, address: str | None) -> None:
    """Writes the same files into `folder` as `job.run(folder)`, with several workers.

    Args:
        job: the fine-tuning job.
        folder: existing, empty, absolute.
        workers: number of workers; each holds the whole model, on a GPU if the nodes have GPUs.
        address: host:port of a running cluster; None starts a local one.

    Raises:
        UserError: the cluster does not exist or cannot run the job, it has too few GPUs or CPUs, or `job.run` raised.
    """
    size = sum(array.nbytes for example in job.examples for array in example.arrays())
    cores = max(os.cpu_count() or 1, workers)
    running = job.checkpoint.path
    running.mkdir(parents=True, exist_ok=True)
    shared = [folder, running, *([Path(job.backbone.source)] if Path(job.backbone.source).is_dir() else [])]
    with cluster(address, cores, option=OPTION, folders=shared, object_store=OBJECT_STORE + 4 * size):
        getLogger(__name__).info(f"fine-tuning on {workers} Ray workers; checkpoints are in {running}")
        storage = Path(tempfile.mkdtemp(prefix="ray-", dir=running))
        try:
            _fit(job, folder, storage, workers, *share(resources(), workers))
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    error = folder / ERROR_FILE
    if error.is_file():
        raise UserError(error.read_text(encoding="utf-8"))


def share(nodes: Sequence[Mapping[str, float]], workers: int) -> tuple[int, int]:
    """CPUs and GPUs of each worker: one GPU if any node has one, and as many CPUs as every worker can get.

    Raises:
        UserError: the nodes cannot run that many workers; Ray would wait for more nodes forever.

    Example:
        >>> share([{"CPU": 16.0}, {"CPU": 4.0}], workers=3)
        (5, 0)
    """
    gpus = int(any(node.get("GPU", 0.0) >= 1 for node in nodes))
    most = int(max(node.get("CPU", 0.0) for node in nodes))
    cpus = next((c for c in range(most, 0, -1) if workers_that_fit(nodes, c, gpus) >= workers), 0)
    if not cpus:
        available = f"{workers_that_fit(nodes, 1, gpus)} {'GPUs visible by gpu_id' if gpus else 'CPUs'}"
        raise UserError(f"num_train_workers: {workers} is more than the nodes can run ({available}); choose fewer")
    return cpus, gpus


def _fit(job: FinetuneJob, folder: Path, storage: Path, workers: int, cpus: int, gpus: int) -> None:
    loop_config = {"job": ray.put(job), "folder": str(folder), "threads": cpus}
    per_worker = {"CPU": float(cpus), **({"GPU": 1.0} if gpus else {})}
    trainer = TorchTrainer(
        train_on_worker,
        train_loop_config=loop_config,
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers, use_gpu=bool(gpus), resources_per_worker=per_worker
        ),
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=str(storage),
            failure_config=ray.train.FailureConfig(max_failures=MAX_RESTARTS),
        ),
    )
    with _own_interrupt():
        trainer.fit()


def train_on_worker(loop_config: dict[str, Any]) -> None:
    """Training function that Ray Train runs on each worker, with the `train_loop_config` of `_fit`."""
    keep_freed_memory()
    torch.set_num_threads(loop_config["threads"])
    context, device, folder = ray.train.get_context(), get_device(), Path(loop_config["folder"])
    ranks = Workers(context.get_world_rank(), context.get_world_size(), device)
    job: FinetuneJob = ray.get(loop_config["job"])
    try:
        # output of a worker is not shown, so no progress bars
        replace(job, backbone=replace(job.backbone, device=device), show_progress=False).run(folder, ranks)
    except UserError as error:  # all workers raise it (Workers.agree); if it left this function, Ray would retry
        if ranks.first:
            (folder / ERROR_FILE).write_text(str(error), encoding="utf-8")


@contextmanager
def _own_interrupt() -> Iterator[None]:
    """Restores the handler of Ctrl-C after training; Ray's own handler would end the process with status 0."""
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
