"""Memory that is left to this process."""

from pathlib import Path

import psutil

CONTROL_GROUP = Path("/sys/fs/cgroup")


def free_memory(control_group: Path = CONTROL_GROUP) -> int:
    """Bytes that this process may still use: those of the machine, or what is left of a container's limit.

    Args:
        control_group: folder with memory.max and memory.current of Linux; elsewhere it does not exist.
    """
    free = int(psutil.virtual_memory().available)
    try:
        limit, used = (int((control_group / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such files, or the limit is the word "max"
        return free
    return min(free, max(0, limit - used))
