"""SHA-256 of files, each read once per process; the digest of a large one is remembered in a file between processes.

A file counts as unchanged while its path, size, inode and both of its times are: mtime, and ctime, which no program can
set back. A change of a disk's bits that passes by the file system is therefore found in small files only, in the next
process. A file that changed within the last seconds is always read, because a second change may have left its times as
they were.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from logging import getLogger
from pathlib import Path

from filelock import FileLock

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.changes import write_file
from recbole_llmfashion.files.json_text import parse_json

LARGE = 64 * 2**20  # bytes from which on a digest is remembered between processes; a tenth of a second to read
_SETTLED = 2 * 10**9  # nanoseconds since the last change after which a new change has another time
SHA256 = re.compile(r"[0-9a-f]{64}")

_Stamp = tuple[int, int, int, int]
_seen: dict[tuple[str, _Stamp], str] = {}  # of this process


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes, which are read.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> UserError:
    """The error of a file that the operating system does not let us read."""
    return UserError(f"{path}: cannot be read ({error.strerror or error}); check its permissions and its disk")


class FileDigests:
    """SHA-256 of files whose digests are needed repeatedly.

    Args:
        memory: JSON file that keeps the digests of large files; None keeps none. It may be deleted at any time.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory

    def sha256(self, path: Path) -> str:
        """Hex digest of a file.

        Raises:
            UserError: the file cannot be read.
        """
        key = os.path.realpath(path)
        stamp = _stamp(path)
        known = _seen.get((key, stamp)) or self._remembered(key, stamp)
        if known is None:
            known = file_sha256(path)
            if stamp != _stamp(path):
                # a new link to the file and a change of its rights change ctime, too, and not its bytes
                if file_sha256(path) != known:
                    raise UserError(f"{path}: was changed while it was read; run the same command again")
                return known
            if not _settled(stamp):
                return known
            self._remember(key, stamp, known)
        _seen[key, stamp] = known
        return known

    def _remembered(self, key: str, stamp: _Stamp) -> str | None:
        if self._memory is None or stamp[0] < LARGE:
            return None
        entry = _read(self._memory).get(key)
        return str(entry[-1]) if entry is not None and entry[:-1] == list(stamp) else None

    def _remember(self, key: str, stamp: _Stamp, digest: str) -> None:
        if self._memory is None or stamp[0] < LARGE:
            return
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._memory}.lock"):
                entries = {name: entry for name, entry in _read(self._memory).items() if os.path.exists(name)}
                write_file(self._memory, json.dumps(entries | {key: [*stamp, digest]}, indent=1))
        except (OSError, UserError) as error:
            getLogger(__name__).info(f"{self._memory}: not written ({error}); files are read again next time")


def _stamp(path: Path) -> _Stamp:
    try:
        stat = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _settled(stamp: _Stamp) -> bool:
    return time.time_ns() - max(stamp[1], stamp[2]) > _SETTLED


def _read(memory: Path) -> dict[str, list[int | str]]:
    """The entries that are whole; what is not is read from the files again."""
    try:
        content = parse_json(memory.read_text())
    except (OSError, ValueError):
        return {}
    return {key: entry for key, entry in content.items() if _is_entry(entry)} if isinstance(content, dict) else {}


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, list) or len(entry) != 5:
        return False
    *stamp, digest = entry
    return all(type(number) is int for number in stamp) and isinstance(digest, str) and bool(SHA256.fullmatch(digest))


# Files of a backbone's folder that loading it never reads: how a stage was made, cards, and other formats of weights.
_NOT_READ = {"stage.json", "README.md", "LICENSE", "LICENSE.txt", "NOTICE", "NOTICE.txt"}
_OTHER_FORMATS = {".md", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".ot", ".onnx", ".gguf", ".tflite", ".py"}


def model_files(folder: Path) -> list[Path]:
    """The files of a folder that a model or a tokenizer may be loaded from, by name.

    Raises:
        UserError: the folder cannot be read.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(path for path in files if is_model_file(path.name))


def is_model_file(name: str) -> bool:
    """Whether a model or a tokenizer may be loaded from a file of that name."""
    return not name.startswith(".") and name not in _NOT_READ and Path(name).suffix not in _OTHER_FORMATS


def model_sha256(files: Iterable[Path], digests: FileDigests) -> str:
    """Hex digest over names and bytes of the files of `model_files`; neither path nor times of the folder change it."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{digests.sha256(path)}\n".encode())
    return digest.hexdigest()
