"""What was added to a run and removed from it since the service first started: JSON lines, one a change.

    {"run": "<digest of the manifest>"}
    {"add": [{"item_id": "N1", "title": "Zephyr Snow Clog"}]}
    {"remove": ["11", "12"]}

The file, not a replica's memory, is the truth: a replica that comes back reads it from the start, and every replica
reads what is new before each batch. So a change holds for all of them from the moment it was answered, as long as they
see one file with working locks: one machine, or a file system that they share. A line counts once its newline is
there; what a killed writer left behind is cut off by the next. This module knows no item and no model.
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
    """Rows to add, or ids to remove; one of them is empty."""

    add: tuple[dict[str, str], ...] = ()
    remove: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The value of its line in the file."""
        return {"add": self.add} if self.add else {"remove": self.remove}


class ItemChangeLog:
    """One replica's view of the file; made, with its folder, where it is not there.

    Args:
        path: the file.
        run: digest of the run's manifest.

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
            raise UserError(f"journal: {path} cannot be written ({error}); name another file") from None
        if header != {"run": run}:
            raise UserError(f"journal: {path} belongs to another run; name another file, or remove it to start anew")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else reads new lines or writes meanwhile."""
        with self._lock:
            yield

    def fresh(self) -> list[Change]:
        """Changes that this replica has not read yet.

        Raises:
            UserError: the file is gone, shorter than before, or no journal.
        """
        if self._path.stat().st_size == self._read:
            return []  # the common case takes no lock
        with self.locked():
            return [Change(tuple(line.get("add", ())), tuple(line.get("remove", ()))) for line in self._lines()]

    def append(self, change: Change) -> None:
        """Writes a change that this replica is about to make; call it locked and with nothing fresh."""
        self._before, self._read = self._read, self._log.append(change.as_json())

    def take_back(self, change: Change) -> None:
        """Cuts off what `append` has just written; call it before the lock is given back."""
        self._read = self._before
        os.truncate(self._path, self._read)

    def _lines(self, most: int | None = None) -> list[dict[str, Any]]:
        """The values behind the position read so far, `most` of them; moves that position."""
        if self._path.stat().st_size < self._read:  # changed by another program
            raise UserError(f"journal: {self._path} is shorter than it was; restart the service")
        try:
            lines, self._read = self._log.read(self._read, most)
        except ValueError:
            raise UserError(f"journal: {self._path} is not readable; restore it, or remove it to start anew") from None
        return lines
