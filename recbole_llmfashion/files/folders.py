"""Folders that appear complete: written beside their final path, renamed when every file is on the disk."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recbole_llmfashion.files.folder_lock import FolderLock
from recbole_llmfashion.files.temporary import PART, follow_umask, sync, sync_folder, temporary_name
from recbole_llmfashion.files.write_errors import naming


@contextmanager
def temporary_folder(final: Path, option: str = "") -> Iterator[Path]:
    """A new folder beside `final`, to be renamed by `publish_folder`; removed at the end where it was not.

    Folders beside it that killed processes left are removed first: the lock of such a folder is free.

    Args:
        final: the path it is meant for.
        option: the option or key that sets the path.

    Raises:
        UserError: it cannot be made.
    """
    with naming(final, option):
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(final.parent)
    taken = False
    while not taken:  # another process that found the folder without a lock is removing it
        part = temporary_name(final.parent, final.name)
        lock = FolderLock(part, shared=False)
        try:  # from before the folder exists: Ctrl-C between its making and the caller's first line would leave it
            with naming(final, option):
                part.mkdir()
                taken = lock.take()
            if taken:
                yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)
            lock.release()


def publish_folder(part: Path, final: Path, marker: str) -> None:
    """Renames a finished folder to its final name in one step, once its files are on the disk.

    A folder of that name without the marker file is incomplete and is replaced. If another process published an equal
    folder first, that one is kept and `part` is left to the caller.

    Args:
        marker: a file that every complete folder has.

    Raises:
        OSError: the folder cannot be renamed.
    """
    follow_umask(part)
    sync_folder(part)
    if final.is_dir() and not (final / marker).is_file():
        shutil.rmtree(final)
    try:
        part.rename(final)
    except OSError:
        if not (final / marker).is_file():
            raise
    sync(final.parent)


def _remove_abandoned(folder: Path) -> None:
    """Removes the temporary folders whose lock is free: the process that made them has ended."""
    for path in folder.iterdir():
        if PART.fullmatch(path.name) and path.is_dir():
            lock = FolderLock(path, shared=False)
            try:
                if lock.take() and lock.locked:
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:  # another user's
                continue
            finally:
                lock.release()
