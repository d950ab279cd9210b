"""The lock of a folder, which ends with the process that holds it."""

import fcntl
import os
import threading
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_FILE = ".llmf.lock"  # where the file system cannot lock a folder
_held: dict[tuple[int, int], int] = {}  # device and inode of the folders that this process has locked: thread


class FolderLock:
    """The lock of a folder: the operating system's on the folder itself, which ends with the process.

    Args:
        folder: the folder.
        shared: whether several commands may want this path. If so, the folder is made again where its last holder
            removed it, and a file in it is locked where the file system cannot lock a folder, as some network disks.

    Attributes:
        locked: whether the system holds the lock for this process; False where the file system has no locks.
    """

    def __init__(self, folder: Path, shared: bool = True) -> None:
        self.locked = False
        self._folder, self._shared = folder, shared
        self._descriptor: int | None = None
        self._key: tuple[int, int] | None = None
        self._file: FileLock | None = None

    def take(self) -> bool:
        """False if another process or thread holds the lock, or if the folder is gone."""
        while True:
            if self._shared:
                self._folder.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                if self._shared:
                    continue
                return False
            there = os.fstat(descriptor)
            key = there.st_dev, there.st_ino
            if _held.get(key) == threading.get_ident():
                os.close(descriptor)
                return True
            if not self._lock(descriptor):
                os.close(descriptor)
                return False
            if _same(self._folder, there):
                self._descriptor, self._key, _held[key] = descriptor, key, threading.get_ident()
                return True
            os.close(descriptor)
            if not self._shared:
                return False

    def _lock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.locked = True
        except BlockingIOError:
            return False
        except OSError:
            if self._shared:
                self._file = FileLock(self._folder / LOCK_FILE)
                try:
                    self._file.acquire(timeout=0)
                except Timeout:
                    return False
        return True

    def release(self) -> None:
        """Lets others take the lock."""
        if self._key is not None and self._descriptor is not None:
            del _held[self._key]
            os.close(self._descriptor)
            self._key = self._descriptor = None
        if self._file is not None:
            self._file.release()


def _same(folder: Path, there: os.stat_result) -> bool:
    """Whether the path still names the folder that was opened."""
    try:
        now = folder.stat()
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (there.st_dev, there.st_ino)
