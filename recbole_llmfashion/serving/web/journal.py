"""The journal of items added and removed since the service first started, as it is on the disk: JSON lines.

    items.jsonl        {"run": "<digest of the manifest>"}
                       {"add": [{"item_id": "N1", "title": "Zephyr Snow Clog"}]}
                       {"remove": ["11", "12"]}
    items.jsonl.state  {"run": .., "changes": 2, "bytes": .., "sha256": ..} of the changes that were confirmed

A line without its newline, left by a killed writer, is ignored. The state file remembers a digest beyond a restart: a
journal that is gone, shorter or other than it was is an error. Nothing here writes.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json

_RESTORE = "restore it from a copy"
Stamp = tuple[int, int, int, int]


class JournalError(UserError):
    """The journal cannot be read or written. The message names the file.

    Args:
        path: the file.
        reason: what is wrong, without the path: clients may see it.
        advice: what to do.
    """

    def __init__(self, path: Path, reason: str, advice: str) -> None:
        super().__init__(f"journal: {path} {reason}; {advice}")
        self.reason = f"the journal of item changes {reason}"


@dataclass(frozen=True)
class Change:
    """Items to add (one mapping per item), or ids of items to remove; one of the two is empty."""

    add: tuple[dict[str, str], ...] = ()
    remove: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The value of the line in the file."""
        return {"add": self.add} if self.add else {"remove": self.remove}

    @classmethod
    def from_json(cls, value: Any) -> "Change | None":
        """The change of a line; None if the line is not one."""
        if not isinstance(value, dict) or len(value) != 1:
            return None
        add, remove = value.get("add", []), value.get("remove", [])
        if not isinstance(add, list) or not isinstance(remove, list) or not (add or remove):
            return None
        rows = all(isinstance(item, dict) and all(isinstance(cell, str) for cell in item.values()) for item in add)
        return cls(tuple(add), tuple(remove)) if rows and all(isinstance(item, str) for item in remove) else None


@dataclass(frozen=True)
class Position:
    """A place in the file, behind the last of `changes` changes, and the digest of all bytes before it."""

    run: str
    changes: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A change in the file and the position behind it."""

    change: Change
    end: Position


def check_journal(path: Path, run: str) -> Position | None:
    """Checks a journal without writing to it, or waiting for its lock.

    Returns:
        the position behind its last change; None if there is no file, or an empty one, and nothing was lost.

    Raises:
        JournalError: the file belongs to another run or to something else, or has lost changes.
    """
    state = _read_state(path)  # first: the journal has at least what the state says
    confirmed = state if state is not None and state.run == run else None
    if path.exists() and not path.is_file():
        raise JournalError(path, "is a folder" if path.is_dir() else "is not a file", "choose a file")
    raw = content_of(path) if os.path.lexists(path) else b""
    _check_kept(path, raw, confirmed)
    if not raw:
        return None
    header = raw[: raw.find(b"\n") + 1]
    try:
        value = parse_json(header)
    except ValueError:
        value = None
    if not isinstance(value, dict) or value.keys() != {"run"} or not isinstance(value["run"], str):
        raise JournalError(path, "is not a journal of item changes, or its first line was cut", "choose another file")
    if header != _header(run):
        raise JournalError(path, "belongs to another run", "choose another file, or delete it to start over")
    return ([start_of(run)] + [entry.end for entry in entries_behind(path, raw, start_of(run))])[-1]


class JournalCheck:
    """Checks whether replicas can follow a journal; reads it only after it has changed.

    Args:
        path: the file.
        run: digest of the run's manifest.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path, self._run = path, run
        self._good: tuple[Stamp, ...] = ()

    def trouble(self) -> str | None:
        """None if the journal is readable and complete, otherwise what is wrong, without the path."""
        try:
            state = state_path(self._path)
            stamps = (stamp_of(self._path), *([stamp_of(state)] if os.path.lexists(state) else []))
            if stamps != self._good:
                check_journal(self._path, self._run)
                self._good = stamps
        except JournalError as error:
            return error.reason
        return None


def _check_kept(path: Path, raw: bytes, confirmed: Position | None) -> None:
    """Whether the bytes begin with the changes that were confirmed.

    Raises:
        JournalError: they do not.
    """
    if confirmed is None or not confirmed.changes:
        return
    lost = f"{_RESTORE}, or delete it and {state_path(path).name} to start without its {confirmed.changes} changes"
    _check_prefix(path, raw, confirmed, lost)


def _check_prefix(path: Path, raw: bytes, position: Position, advice: str) -> "hashlib._Hash":
    """The digest, to be continued, of the bytes before a position.

    Raises:
        JournalError: there are fewer bytes, or other ones.
    """
    if len(raw) < position.bytes:
        reason = "is shorter than it was" if raw else "is empty" if path.exists() else "is gone"
        raise JournalError(path, reason, advice)
    digest = hashlib.sha256(raw[: position.bytes])
    if digest.hexdigest() != position.sha256:
        raise JournalError(path, "is not what it was", advice)
    return digest


def entries_behind(path: Path, raw: bytes, read: Position) -> list[Entry]:
    """The changes in the complete lines behind a position.

    Raises:
        JournalError: the bytes before the position are other ones, or a line is not a change.
    """
    digest = _check_prefix(path, raw, read, _RESTORE)
    entries: list[Entry] = []
    changes, end = read.changes, read.bytes
    for line in raw[read.bytes :].split(b"\n")[:-1]:
        changes, end = changes + 1, end + len(line) + 1
        digest.update(line + b"\n")
        try:
            change = Change.from_json(parse_json(line))
        except ValueError:
            change = None
        if change is None:
            raise JournalError(path, f"has a line {changes + 1} that is not a change", _RESTORE)
        entries.append(Entry(change, Position(read.run, changes, end, digest.hexdigest())))
    return entries


def _header(run: str) -> bytes:
    return json.dumps({"run": run}).encode() + b"\n"


def start_of(run: str) -> Position:
    """The position behind the first line."""
    return Position(run, 0, len(_header(run)), _sha256(_header(run)))


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def state_path(path: Path) -> Path:
    """The state file of a journal."""
    return path.with_name(f"{path.name}.state")


def _read_state(path: Path) -> Position | None:
    """The content of the state file; None if there is none.

    Raises:
        JournalError: it is the file of another program.
    """
    state = state_path(path)
    if not os.path.lexists(state):
        return None
    try:
        position = Position(**parse_json(content_of(state)))
        if [type(value) for value in asdict(position).values()] == [str, int, int, str]:
            return position
    except (ValueError, TypeError):
        pass
    raise JournalError(state, "is not the state of a journal", "choose another journal, or delete that file")


def content_of(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        JournalError: it cannot be read.
    """
    with as_journal_error(path, "cannot be read"):
        return path.read_bytes()


def stamp_of(path: Path) -> Stamp:
    """What changes with the content of the file."""
    with as_journal_error(path, "cannot be read"):
        found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def as_journal_error(path: Path, what: str) -> Iterator[None]:
    """Turns an error of the operating system about a file into one line.

    Args:
        what: what cannot be done.
    """
    try:
        yield
    except FileNotFoundError:
        raise JournalError(path, "is gone", _RESTORE) from None
    except IsADirectoryError:
        raise JournalError(path, "is a folder", "choose a file") from None
    except OSError as error:
        raise JournalError(path, f"{what} ({error.strerror})", "check its disk and its permissions") from None
