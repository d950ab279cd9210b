"""Log of items added and removed since the service first started: JSON lines, one per change.

    {"run": "<digest of the manifest>"}
    {"add": [{"item_id": "N1", "title": "Zephyr Snow Clog"}]}
    {"remove": ["11", "12"]}

A restarted replica reads the file from the start, and every replica reads new lines before each batch. A change
therefore applies to all replicas once it was confirmed, provided that they share the file with working locks: on one
machine, or on a shared file system. A line without its newline, left by a killed writer, is ignored and cut off by the
next write.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stage_store import JsonLines


@dataclass(frozen=True)
class Change:
    """Items to add (one mapping per item), or ids of items to remove; one of the two is empty."""

    add: tuple[dict[str, str], ...] = ()
    remove: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The value of the line in the file."""
        return {"add": self.add} if self.add else {"remove": self.remove}


class ItemChangeLog:
    """One replica's view of the file. Creates the file if it does not exist.

    Args:
        path: the file.
        run: digest of the run's manifest, stored in the first line.

    Raises:
        UserError: the file belongs to another run, or cannot be written.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path, self._lock, self._read, self._before = path, FileLock(f"{path}.lock"), 0, 0
        self._log = JsonLines(path, ascii_only=True)
        try:
            with self.locked():
                if not self._log.end():
                    self._log.append({"run": run})
                header = self._lines(most=1)[0]
        except OSError as error:
            raise UserError(f"journal: cannot write {path} ({error}); choose another file") from None
        if header != {"run": run}:
            raise UserError(f"journal: {path} belongs to another run; choose another file, or delete it to start over")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the file lock: no other replica reads new lines or writes."""
        with self._lock:
            yield

    def fresh(self) -> list[Change]:
        """Changes that this replica has not read yet.

        Raises:
            UserError: the file is shorter than before or not readable.
        """
        if self._path.stat().st_size == self._read:
            return []  # the common case takes no lock
        with self.locked():
            return [Change(tuple(line.get("add", ())), tuple(line.get("remove", ()))) for line in self._lines()]

    def append(self, change: Change) -> None:
        """Writes a change before it is applied; call it inside `locked()`, after `fresh()` returned everything."""
        self._before, self._read = self._read, self._log.append(change.as_json())

    def take_back(self, change: Change) -> None:
        """Removes the line that `append` has just written; call it before `locked()` ends."""
        self._read = self._before
        os.truncate(self._path, self._read)

    def _lines(self, most: int | None = None) -> list[dict[str, Any]]:
        """Reads values from the current offset, at most `most` of them, and advances the offset."""
        if self._path.stat().st_size < self._read:  # changed by another program
            raise UserError(f"journal: {self._path} is shorter than it was; restart the service")
        try:
            lines, self._read = self._log.read(self._read, most)
        except ValueError:
            raise UserError(f"journal: {self._path} is not readable; restore it, or delete it to start over") from None
        return lines
