"""Wall time, processor time and energy of a block of code.

Energy is read from the RAPL counters of Linux (Documentation/power/powercap), whole packages only. They count all
that the machine does meanwhile. Where none can be read, processor seconds stand for energy.
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

POWERCAP = Path("/sys/class/powercap")
COUNTER, RANGE = "energy_uj", "max_energy_range_uj"


def read_counters(root: Path = POWERCAP) -> dict[Path, int]:
    """Microjoules by package; empty where the machine has no counter or does not let the user read it."""
    found = {}
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:  # a core or a memory controller, which its package counts too
            continue
        try:
            found[zone] = int((zone / COUNTER).read_text())
        except (OSError, ValueError):
            return {}
    return found


def joules_between(before: dict[Path, int], after: dict[Path, int]) -> float | None:
    """Energy between two readings, in joules; a counter that went back has run over. None without counters."""
    if not before or before.keys() != after.keys():
        return None
    total = 0
    for zone, first in before.items():
        spent = after[zone] - first
        total += spent if spent >= 0 else spent + int((zone / RANGE).read_text())
    return total / 1e6


class Meter:
    """Context manager.

    Attributes:
        seconds: wall time.
        processor_seconds: time of all threads of this process on a processor.
        joules: energy of the machine's packages; None where there is no counter.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self._root = root
        self.seconds, self.processor_seconds = 0.0, 0.0
        self.joules: float | None = None

    def __enter__(self) -> Self:
        self._counters = read_counters(self._root)
        self._begun, self._processor = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._begun
        self.processor_seconds = time.process_time() - self._processor
        self.joules = joules_between(self._counters, read_counters(self._root))
