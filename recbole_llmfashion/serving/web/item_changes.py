"""One replica's view of the journal of item changes, which it reads and writes; journal.py has the format.

A restarted replica reads the file from the start, and every replica reads new lines before each batch. A change
therefore applies to all replicas once it was confirmed, provided that they share the file with working locks
(`items.jsonl.lock`): on one machine, or on a shared file system. A line that a killed writer left without its newline
is cut off by the next write.

A replica remembers a digest of what it has read, and a file that is no journal is never written to.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.changes import write_file
from recbole_llmfashion.files.json_lines import JsonLines
from recbole_llmfashion.serving.web.journal import (
    Change,
    Entry,
    JournalError,
    Position,
    as_journal_error,
    check_journal,
    content_of,
    entries_behind,
    stamp_of,
    start_of,
    state_path,
)

LOCK_SECONDS = 30  # a lock that is held for longer belongs to a process that hangs


class ItemChangeLog:
    """One replica's view of the journal. Creates the file if it does not exist.

    Args:
        path: the file.
        run: digest of the run's manifest, stored in the first line.

    Attributes:
        path: the file.
        created: whether the file was created, so that there are no changes.

    Raises:
        JournalError: the file belongs to another run or to something else, has lost changes, or cannot be written.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path, self._lock = path, FileLock(f"{path}.lock", timeout=LOCK_SECONDS)
        self._log, self._seen = JsonLines(path, ascii_only=True), (0, 0, 0, 0)
        _check_lock_file(path)
        with self.locked():
            self.created = check_journal(path, run) is None
            if self.created:
                with as_journal_error(path, "cannot be written"):
                    self._log.append({"run": run})
            self._read = start_of(run)
            if self.created or not state_path(path).exists():
                self._write_state(([self._read] + [entry.end for entry in self._parsed()])[-1])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the file lock: no other replica reads new lines or writes."""
        try:
            self._lock.acquire()
        except Timeout:
            raise JournalError(self.path, "is locked by a process that does not answer", "stop that process") from None
        except OSError as error:
            raise JournalError(self.path, f"cannot be written ({error.strerror})", "choose another file") from None
        try:
            yield
        finally:
            self._lock.release()

    def unread(self) -> list[Entry]:
        """The changes behind the one that was passed to `applied` last, in order.

        Raises:
            JournalError: what was read before is not there any more, or a line is not a change.
        """
        if stamp_of(self.path) == self._seen:
            return []  # the common case takes no lock and reads nothing
        with self.locked():
            stamp, entries = stamp_of(self.path), self._parsed()
        if not entries:
            self._seen = stamp
        return entries

    def applied(self, entry: Entry) -> None:
        """Continues behind this change; changes that were not passed are returned by `unread` again."""
        self._read = entry.end

    def append(self, change: Change) -> Entry:
        """Writes a change before it is applied; call it inside `locked()`, after all of `unread()` was applied.

        Raises:
            JournalError: the file cannot be written, for example because the disk is full; it is as before.
        """
        try:
            self._log.append(change.as_json())
            (entry,) = self._parsed()
        except OSError as error:
            self.take_back()
            reason = f"cannot be written ({error.strerror}), so the change was not made"
            raise JournalError(self.path, reason, "free space or restore its permissions") from None
        return entry

    def take_back(self) -> None:
        """Removes the line that `append` has just written; call it before `locked()` ends.

        Raises:
            JournalError: the line cannot be removed; the change will be made.
        """
        with as_journal_error(self.path, "cannot be written, so the change may still be made"):
            os.truncate(self.path, self._read.bytes)

    def confirm(self, entry: Entry) -> None:
        """Notes that a change was made, so that a journal without it is noticed after a restart."""
        self.applied(entry)
        self._write_state(entry.end)

    def _write_state(self, position: Position) -> None:
        state = state_path(self.path)
        try:
            write_file(state, json.dumps(asdict(position)))
        except UserError as error:
            raise JournalError(state, f"cannot be written ({error})", "make room for it") from None

    def _parsed(self) -> list[Entry]:
        return entries_behind(self.path, content_of(self.path), self._read)


def _check_lock_file(path: Path) -> None:
    """Taking the lock empties its file, which must not be the file of another program, such as `uv.lock`."""
    lock = Path(f"{path}.lock")
    if os.path.lexists(lock) and (not lock.is_file() or lock.stat().st_size):
        raise JournalError(lock, "is not the lock of a journal", "choose another journal, or delete that file")
