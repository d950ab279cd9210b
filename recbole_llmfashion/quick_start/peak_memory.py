"""Peak memory of a stretch of work, sampled; a high-water mark of the whole process would count earlier models too."""

import ctypes
import gc
import sys
import threading
from types import TracebackType
from typing import Self

import psutil

INTERVAL = 0.05  # seconds between samples


def give_back() -> None:
    """Returns freed memory to the system, so that what an earlier model left behind is not counted again."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if trim is not None:
            trim(0)


class PeakMemory:
    """Context manager; `megabytes` is the largest resident size seen inside it."""

    def __enter__(self) -> Self:
        give_back()
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
