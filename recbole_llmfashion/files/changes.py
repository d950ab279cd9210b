"""Writes of files that others read: complete or not at all, and one writer per folder at a time.

    .<name>.llmf-<token>.part    a file or a folder that is being written, renamed to <name> when it is on the disk
    .llmf-<token>.change         the renames of several files that change together, while they are made

Every writer uses names of its own. The record of a change makes several files one change: after a kill between two
renames the next command that writes or reads the folder makes the others. Writers of the same folder exclude each
other with the operating system's lock on the folder, which ends with the process; it needs no file. The next
holder of the lock removes what a killed writer left. New files get the modes of the umask.
"""

import errno
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.folder_lock import FolderLock
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.files.temporary import PART, discard, probe, sync, temporary_name, write_new
from recbole_llmfashion.files.write_errors import naming, prefix

_CHANGE = ".llmf-*.change"


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
        probe(there)


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
            probe(folder)
        yield


@contextmanager
def _locked(folder: Path, option: str) -> Iterator[None]:
    """As `own_folder`, without the test whether a file can be written."""
    with naming(folder, option):
        made = _make(folder, option)
        lock = FolderLock(folder)
        free = lock.take()
    if not free:
        raise UserError(
            f"{prefix(option)}another command is writing to {folder}; wait until it ends, or choose another folder"
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


def _make(folder: Path, option: str) -> list[Path]:
    """Makes a folder and those above it; returns the new ones, the deepest first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    if not missing and not folder.is_dir():
        raise UserError(f"{prefix(option)}expected a folder, found the file {folder}; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    return missing


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
                    part = temporary_name(folder, name)
                    renames.append((part.name, name))
                    write_new(part, content)
            with naming(folder, option):
                change = _record(folder, renames, [name for name in remove if (folder / name).is_file()])
        except BaseException:
            for part_name, _ in renames:
                discard(folder / part_name)
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


def _record(folder: Path, renames: list[tuple[str, str]], remove: list[str]) -> dict[str, Any]:
    """The change, which is written down where it has several steps."""
    change: dict[str, Any] = {"renames": renames, "remove": remove, "record": None}
    if len(renames) + len(remove) > 1:
        part = temporary_name(folder, "change")
        change["record"] = f".llmf-{secrets.token_hex(4)}.change"
        write_new(part, json.dumps(change))
        part.rename(folder / change["record"])
        try:
            sync(folder)
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
            sync(folder)
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
            change = parse_json(record.read_text(encoding="utf-8"))
            names = [name for pair in change["renames"] for name in pair] + change["remove"]
            ours = change["record"] == record.name and all(Path(name).name == name for name in names)
        except (ValueError, KeyError, TypeError):
            ours = False
        if not ours:
            raise UserError(f"{record}: not a record of this package; remove it")
        _apply(folder, change)
    for path in folder.iterdir():
        if PART.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


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
