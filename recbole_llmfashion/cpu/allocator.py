"""What the C library's malloc does with freed memory. glibc only; elsewhere nothing changes.

torch asks for the activations of each training step and frees them at its end. By default glibc gives blocks of 128 kB
and more back to the system at once, and the next step waits for the same pages to be mapped and filled with zeros
again: a third to a half of the processor time of a softmax over 12,000 items.
"""

import ctypes
import sys
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT = 2**30  # bytes of freed memory that the process keeps for its next allocations
LARGEST = 2**28  # bytes; larger blocks, such as a table of weights, go back to the system when they are freed


def _libc() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def keep_freed_memory() -> bool:
    """Lets this process use freed memory again without the system. False where malloc has no such setting."""
    mallopt = getattr(_libc(), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))


def return_freed_memory() -> None:
    """Gives freed memory back to the system, so that memory of an earlier model is not counted."""
    trim = getattr(_libc(), "malloc_trim", None)  # in glibc, not in musl
    if trim is not None:
        trim(0)
