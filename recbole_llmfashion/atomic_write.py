"""Writes of files that others read: complete or not at all, and one writer per folder at a time.

    .<name>.llmf-<token>.part    a file or a folder that is being written, renamed to <name> when it is on the disk
    .llmf-<token>.change         the renames of several files that change together, while they are made

Every writer uses names of its own. The record of a change makes several files one change: after a kill between two
renames the next command that writes or reads the folder makes the others. Writers of the same folder exclude each
other with the operating system's lock on the folder, which ends with the process; it needs no file. The next
holder of the lock removes what a killed writer left. New files get the modes of the umask.
"""

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recbole_llmfashion.errors import FREE_SPACE, UserError

_PART = re.compile(r"\..*\.llmf-[0-9a-f]{8}\.part")
_CHANGE = ".llmf-*.change"
_LOCK_FILE = ".llmf.lock"  # where the file system cannot lock a folder
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# safetensors, tokenizers and faiss give the system's text; torch.save counts bytes and hides it
_FULL_TEXT = re.compile("No space left on device|Disk quota exceeded|File too large|inline_container.*unexpected pos")
_held: dict[tuple[int, int], int] = {}  # device and inode of the folders that this process has locked: thread


def disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, is a write to a full disk.

    >>> disk_full(OSError(errno.ENOSPC, "No space left on device")), disk_full(ValueError("No such key"))
    (True, False)
    """
    return _full_reason(error) is not None


def _full_reason(error: BaseException | None) -> str | None:
    """The system's text for a full disk, from an error or one that it was raised from."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, OSError) and error.errno in _FULL:
            return os.strerror(error.errno)
        if found := _FULL_TEXT.search(str(error)):
            return found[0]
        seen.append(error)
        error = error.__cause__ or error.__context__
    return None


def full_disk_error(place: Path | str, error: BaseException, option: str = "") -> UserError:
    """The message about a full disk.

    Args:
        place: what was written, "" if unknown. A file that the error names comes first where it is in the system's
            temporary folder.
        option: the option or key that sets the place.
    """
    temporary, named = tempfile.gettempdir(), getattr(error, "filename2", None) or getattr(error, "filename", None)
    if str(named).startswith(temporary) and not str(Path(place).absolute()).startswith(temporary):
        place, option = str(named), "TMPDIR"
    limit = " (a limit of the file size)" if _full_reason(error) == os.strerror(errno.EFBIG) else ""
    where = f" at {place}" if str(place) else ""
    return UserError(f"{_prefix(option)}disk full{where}{limit}: {FREE_SPACE}")


def _prefix(option: str) -> str:
    return f"{option}: " if option else ""


@contextmanager
def naming(place: Path | str, option: str = "") -> Iterator[None]:
    """Around writes: a failed one is one line that names the place.

    Args:
        place: the file or folder that is written.
        option: the option or key that sets it.

    Raises:
        UserError: the operating system refused a write.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if disk_full(error):
            raise full_disk_error(place, error, option) from error
        if not isinstance(error, OSError):
            raise
        why = error.strerror or " ".join(str(error).split())
        raise UserError(f"{_prefix(option)}{place}: cannot write ({why}); choose another folder") from error


def check_writable(folder: Path, option: str) -> None:
    """Finds out whether files can be written to a folder, without making it.

    Args:
        option: the option or key that sets the folder.

    Raises:
        UserError: the folder, or the nearest one above it that exists, cannot be written.
    """
    with naming(folder, option):
        there = folder.absolute()
        while not there.exists():
            there = there.parent
        _probe(there)


@contextmanager
def own_folder(folder: Path, option: str = "") -> Iterator[None]:
    """Makes a folder this thread's own: no other command writes there meanwhile. It may be entered again inside.

    The folder is made if it is missing, and removed again if nothing was put there. What a killed writer began is
    finished or removed, and a file is written as a test.

    Args:
        option: the option or key that sets the folder.

    Raises:
        UserError: another command is writing there, or the folder cannot be written.
    """
    with _locked(folder, option):
        with naming(folder, option):
            _probe(folder)
        yield


@contextmanager
def _locked(folder: Path, option: str) -> Iterator[None]:
    """As `own_folder`, without the test whether a file can be written."""
    with naming(folder, option):
        made = _make(folder, option)
        lock = _Lock(folder)
        free = lock.take()
    if not free:
        raise UserError(
            f"{_prefix(option)}another command is writing to {folder}; wait until it ends, or choose another folder"
        )
    try:
        with naming(folder, option):
            _tidy(folder)
        yield
    finally:
        with suppress(OSError):  # one that holds files stays, and those above it
            for path in made:
                path.rmdir()
        lock.release()


def write_file(path: Path, content: str | bytes, option: str = "") -> None:
    """Writes one file in one step: a reader sees the old content or the new one. Text is written as UTF-8."""
    replace_files(path.parent, [(path.name, content)], option=option)


def replace_files(
    folder: Path, contents: Iterable[tuple[str, str | bytes]], remove: Iterable[str] = (), option: str = ""
) -> None:
    """Writes files of a folder as one change: after a kill or a full disk all are the old ones or all are the new ones.

    Args:
        folder: made if it is missing.
        contents: names and contents; text is written as UTF-8. With a generator only one content is in memory at a
            time. The files are renamed in this order.
        remove: names of files that the change removes.
        option: the option or key that sets the folder.

    Raises:
        UserError: another command is writing to the folder, or it cannot be written.
    """
    with _locked(folder, option):
        renames: list[tuple[str, str]] = []
        try:
            for name, content in contents:
                with naming(folder, option):
                    if (folder / name).is_dir():
                        raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
                    part = _temporary(folder, name)
                    renames.append((part.name, name))
                    _write(part, content)
            with naming(folder, option):
                change = _record(folder, renames, [name for name in remove if (folder / name).is_file()])
        except BaseException:
            for part_name, _ in renames:
                _discard(folder / part_name)
            raise
        with naming(folder, option):
            _apply(folder, change)


@contextmanager
def reading(folder: Path, names: Iterable[str]) -> Iterator[None]:
    """Around the reading of several files that belong together: they are of one change.

    Raises:
        UserError: another command is changing the files, or has changed them meanwhile.
    """
    names = list(names)
    if folder.is_dir() and any(folder.glob(_CHANGE)):
        with _locked(folder, ""):  # finishes what a killed writer began
            pass
    before = _state(folder, names)

    def check() -> None:
        if before[0] or _state(folder, names) != before:
            raise UserError(f"{folder}: another command changed its files while they were read; run the same again")

    try:
        yield
    except Exception:
        check()
        raise
    check()


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
        while True:
            part = _temporary(final.parent, final.name)
            part.mkdir()
            lock = _Lock(part, shared=False)
            if lock.take():
                break  # otherwise another process, which found it without a lock, is removing it
    try:
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
    _sync(final.parent)


def follow_umask(folder: Path) -> None:
    """Gives the files of a new folder the modes of the folder: safetensors writes files for their owner only."""
    mode = folder.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        wanted = mode if path.is_dir() else mode & 0o666
        if path.stat().st_mode & 0o777 != wanted:
            path.chmod(wanted)


def sync_folder(folder: Path) -> None:
    """Returns when every file of a folder is on the disk."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


class _Lock:
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
                self._file = FileLock(self._folder / _LOCK_FILE)
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


def _make(folder: Path, option: str) -> list[Path]:
    """Makes a folder and those above it; returns the new ones, the deepest first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    if not missing and not folder.is_dir():
        raise UserError(f"{_prefix(option)}expected a folder, found the file {folder}; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _temporary(folder: Path, name: str) -> Path:
    """A new hidden name; a long name is cut, because the temporary name must not be too long where `name` is not."""
    return folder / f".{name.encode()[:100].decode(errors='ignore')}.llmf-{secrets.token_hex(4)}.part"


def _probe(folder: Path) -> None:
    """Writes a file as a test and removes it again."""
    part = _temporary(folder, "probe")
    _write(part, b"\0" * 4096)
    part.unlink()


def _write(path: Path, content: str | bytes) -> None:
    """Writes a new file to the disk; if that fails, it is removed again."""
    try:
        with path.open("xb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        _discard(path)
        raise


def _discard(path: Path) -> None:
    """Removes a temporary file; if that fails, the next writer of the folder removes it."""
    with suppress(OSError):
        path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot
            raise
    finally:
        os.close(descriptor)


def _record(folder: Path, renames: list[tuple[str, str]], remove: list[str]) -> dict[str, Any]:
    """The change, which is written down where it has several steps."""
    change: dict[str, Any] = {"renames": renames, "remove": remove, "record": None}
    if len(renames) + len(remove) > 1:
        part = _temporary(folder, "change")
        change["record"] = f".llmf-{secrets.token_hex(4)}.change"
        _write(part, json.dumps(change))
        part.rename(folder / change["record"])
        try:
            _sync(folder)
        except BaseException:
            (folder / change["record"]).unlink()
            raise
    return change


def _apply(folder: Path, change: dict[str, Any]) -> None:
    """Makes a change, or the rest of one that was begun; Ctrl-C waits until it is complete."""
    stopped: KeyboardInterrupt | None = None
    while True:
        try:
            for part, name in change["renames"]:
                if (folder / part).exists():
                    (folder / part).replace(folder / name)
            for name in change["remove"]:
                (folder / name).unlink(missing_ok=True)
            _sync(folder)
            if change["record"]:
                (folder / change["record"]).unlink(missing_ok=True)
            break
        except KeyboardInterrupt as error:
            stopped = error
    if stopped is not None:
        raise stopped


def _tidy(folder: Path) -> None:
    """Finishes the changes of killed writers and removes their files; the caller holds the lock."""
    for record in folder.glob(_CHANGE):
        try:
            change = json.loads(record.read_text(encoding="utf-8"))
            names = [name for pair in change["renames"] for name in pair] + change["remove"]
            ours = change["record"] == record.name and all(Path(name).name == name for name in names)
        except (ValueError, KeyError, TypeError):
            ours = False
        if not ours:
            raise UserError(f"{record}: not a record of this package; remove it")
        _apply(folder, change)
    for path in folder.iterdir():
        if _PART.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Removes the temporary folders whose lock is free: the process that made them has ended."""
    for path in folder.iterdir():
        if _PART.fullmatch(path.name) and path.is_dir():
            lock = _Lock(path, shared=False)
            try:
                if lock.take() and lock.locked:
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:  # another user's
                continue
            finally:
                lock.release()


def _state(folder: Path, names: list[str]) -> list[Any]:
    """What changes when a file is replaced, and whether a change is being made."""
    state: list[Any] = [folder.is_dir() and any(folder.glob(_CHANGE))]
    for name in names:
        try:
            there = (folder / name).stat()
        except OSError:
            state.append(None)
        else:
            state.append((there.st_ino, there.st_size, there.st_mtime_ns))
    return state
