"""Files under temporary names: `.<name>.llmf-<token>.part`, their bytes on the disk, their modes."""

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

PART = re.compile(r"\..*\.llmf-[0-9a-f]{8}\.part")


def temporary_name(folder: Path, name: str) -> Path:
    """A new hidden name; a long name is cut, because the temporary name must not be too long where `name` is not."""
    return folder / f".{name.encode()[:100].decode(errors='ignore')}.llmf-{secrets.token_hex(4)}.part"


def probe(folder: Path) -> None:
    """Writes a file as a test and removes it again."""
    part = temporary_name(folder, "probe")
    write_new(part, b"\0" * 4096)
    part.unlink()


def write_new(path: Path, content: str | bytes) -> None:
    """Writes a new file to the disk; if that fails, it is removed again."""
    try:
        with path.open("xb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        discard(path)
        raise


def discard(path: Path) -> None:
    """Removes a temporary file; if that fails, the next writer of the folder removes it."""
    with suppress(OSError):
        path.unlink()


def sync(path: Path) -> None:
    """Returns when a file or the entries of a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot
            raise
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Returns when every file of a folder is on the disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def follow_umask(folder: Path) -> None:
    """Gives the files of a new folder the modes of the folder: safetensors writes files for their owner only."""
    mode = folder.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        wanted = mode if path.is_dir() else mode & 0o666
        if path.stat().st_mode & 0o777 != wanted:
            path.chmod(wanted)
