"""Peak resident memory of a block."""

import mmap

import numpy as np

from recbole_llmfashion.quick_start.peak_memory import PeakMemory


def test_freed_memory_is_returned_before_the_next_block():
    rows = [np.ones(12_000) for _ in range(3000)]  # below malloc's mmap threshold, so it stays resident when freed
    keep = rows[-1]
    with PeakMemory() as full:
        full._sample()
    del rows
    with PeakMemory() as after:
        pass
    assert after.megabytes < full.megabytes - 200 and len(keep)


def test_peak_of_the_block_only():
    with PeakMemory() as before:
        pass
    # new pages, since pages freed by earlier tests may still be resident
    with PeakMemory() as large, mmap.mmap(-1, 200 * 2**20) as block:
        block.write(b"x" * len(block))
        large._sample()
    with PeakMemory() as after:
        pass
    assert large.megabytes > before.megabytes + 150
    assert after.megabytes < large.megabytes - 100
