"""Tasks for background processes; imports nothing that takes long."""

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Write:
    """Writes a file with the process and the number of its threads."""

    path: Path

    def __call__(self):
        part = self.path.with_suffix(".part")
        part.write_text(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}")
        part.rename(self.path)


@dataclass(frozen=True)
class Fail:
    """Raises, or ends its process at once."""

    status: int | None = None

    def __call__(self):
        if self.status is not None:
            os._exit(self.status)
        raise ValueError("no")


@dataclass(frozen=True)
class Wait:
    """Waits without end; removes its file when it is stopped."""

    path: Path
    megabytes: int = 0

    def __call__(self):
        block = bytearray(os.urandom(2**20) * self.megabytes)
        self.path.write_text(str(os.getpid()))
        try:
            while len(block) >= 0:
                time.sleep(0.05)
        finally:
            self.path.unlink()
