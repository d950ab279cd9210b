"""Peak memory of a block of code, by sampling; the peak of the whole process would include earlier models."""

import gc
import threading
from types import TracebackType
from typing import Self

import psutil

from recbole_llmfashion.allocator import return_freed_memory

INTERVAL = 0.05  # seconds between samples


class PeakMemory:
    """Context manager; `megabytes` is the largest resident size sampled inside it."""

    def __enter__(self) -> Self:
        gc.collect()
        return_freed_memory()
        self._process = psutil.Process()
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
        self.megabytes = max(self.megabytes, self._process.memory_info().rss / 2**20)
