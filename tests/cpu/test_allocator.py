import subprocess
import sys

import pytest

from recbole_llmfashion.cpu.allocator import _libc

SCRIPT = """
from resource import RUSAGE_SELF, getrusage
import sys
import torch
from recbole_llmfashion.cpu.allocator import keep_freed_memory, return_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
torch.ones(16_000_000)  # 64 MB
before = getrusage(RUSAGE_SELF).ru_minflt
for _ in range(30):
    torch.ones(16_000_000)
faults = getrusage(RUSAGE_SELF).ru_minflt - before
return_freed_memory()
before = getrusage(RUSAGE_SELF).ru_minflt
torch.ones(16_000_000)
print(faults, getrusage(RUSAGE_SELF).ru_minflt - before)
"""


def faults(*words: str) -> list[int]:
    printed = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True).stdout
    return [int(word) for word in printed.split()]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(_libc(), "mallopt"), reason="malloc of this system has no mallopt")
def test_pages_of_freed_memory_are_mapped_once():
    mapped, again = faults("keep"), faults("default")
    # 64 MB are 15,625 pages of 4 kB, or 31 of 2 MB; the first few blocks do not fit in the gap that was freed
    assert mapped[0] * 4 < again[0]
    assert mapped[1] > mapped[0] / 30  # return_freed_memory gave them back
