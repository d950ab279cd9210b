"""Training in the background: while this process runs the rows of a table, others train what later rows need.

    this process        row 1                row 2       ..
    a background one    ID model of row 1    last row    last but one    ..

A small model gains little from a second thread, so two processes with one thread each end sooner than one with two. The
stage store joins them: a background process only makes stages, and this process finds them, or waits for the one that
is being made. What a background process leaves undone is done here. It shows no progress and prints nothing.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

Task = Callable[[], object]  # picklable; makes stages
STOP_SECONDS = 10.0


@contextmanager
def background(tasks: Sequence[Task], processes: int) -> Iterator[None]:
    """Runs tasks in further processes while the block runs; they and this process share the threads of this one.

    At the end of the block the processes are stopped, for the block has made what it needs. One that ended by itself
    before its tasks, because it was killed, is named on stderr.

    Args:
        tasks: in the order in which they are taken; a task that fails is left to the block.
        processes: number of all processes, this one included; there are never more than the tasks need.
    """
    processes = min(processes, 1 + len(tasks))
    if processes < 2:
        yield
        return
    import torch

    from recbole_llmfashion import compat

    before = torch.get_num_threads()
    threads = max(1, before // processes)
    torch.set_num_threads(threads)
    context = get_context("spawn")  # a fork of a process with threads may hang
    taken = context.Value("i", 0)  # lives as long as the processes, which attach to it when they have started
    started: list[SpawnProcess] = []
    try:
        with compat.environment_variable("OMP_NUM_THREADS", str(threads)):  # OpenMP reads it when it is loaded
            for _ in range(processes - 1):
                process = context.Process(target=_work, args=(tasks, taken))
                process.start()
                started.append(process)
        print(f"{processes} processes share the rows, {threads} thread(s) each (n_jobs)", file=sys.stderr, flush=True)
        yield
    finally:
        _stop(started)
        torch.set_num_threads(before)


def _stop(started: Sequence["SpawnProcess"]) -> None:
    for process in started:
        if process.exitcode:
            print(
                f"a background process ended with status {process.exitcode}; this process did its work",
                file=sys.stderr,
                flush=True,
            )
        process.terminate()
    for process in started:
        process.join(STOP_SECONDS)
        process.kill()
        process.join()


def _work(tasks: Sequence[Task], taken: Any) -> None:
    """The body of a background process: it takes one task after the other, until none is left.

    Args:
        taken: number of tasks taken so far, shared by all processes.
    """
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stopped stage removes its files
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from recbole_llmfashion.cpu.allocator import keep_freed_memory

    keep_freed_memory()
    with suppress(KeyboardInterrupt):
        while (task := _next(tasks, taken)) is not None:
            with suppress(Exception):  # the row that needs the stage fails in the same way, and says why
                task()


def _next(tasks: Sequence[Task], taken: Any) -> Task | None:
    with taken.get_lock():
        number = taken.value
        taken.value += 1
    return tasks[number] if number < len(tasks) else None


def _end_with_parent() -> None:
    """Ends this process when its parent does, which a killed parent cannot tell it."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
