"""Peak memory of a block of code, by sampling; the peak of the whole process would include earlier models.

Background processes (background.py) count: the sum of all is what the machine must have.
"""

import gc
import multiprocessing
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

from recbole_llmfashion.cpu.allocator import return_freed_memory

INTERVAL = 0.05  # seconds between samples


class PeakMemory:
    """Context manager; `megabytes` is the largest resident size sampled inside, with that of background processes."""

    def __enter__(self) -> Self:
        gc.collect()
        return_freed_memory()
        self._processes = [psutil.Process()]
        with suppress(psutil.NoSuchProcess):
            self._processes += [psutil.Process(child.pid) for child in multiprocessing.active_children()]
        self._stop = threading.Event()
        self.megabytes = 0.0
        self._sample()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._sample()

    def _sample(self) -> None:
        resident = 0
        for process in self._processes:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it has ended
                resident += process.memory_info().rss
        self.megabytes = max(self.megabytes, resident / 2**20)
