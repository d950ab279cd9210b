"""Disks that are small or read-only, for users who may mount them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kilobytes: int = 64, read_only: bool = False) -> Iterator[Path]:
    """A disk in memory mounted on a new folder; skips the test where this user may not mount one."""
    folder.mkdir(parents=True)
    options = f"size={kilobytes}k" + ",ro" * read_only
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    except OSError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
