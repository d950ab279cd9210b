"""Writes that the operating system refuses, as one line that names the place and the option that sets it."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recbole_llmfashion.errors import FREE_SPACE, FullDiskError, UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# safetensors, tokenizers and faiss give the system's text; torch.save counts bytes and hides it
_FULL_TEXT = re.compile("No space left on device|Disk quota exceeded|File too large|inline_container.*unexpected pos")


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


def full_disk_error(place: Path | str, error: BaseException, option: str = "") -> FullDiskError:
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
    return FullDiskError(f"{prefix(option)}disk full{where}{limit}: {FREE_SPACE}")


def prefix(option: str) -> str:
    """The start of a message about a place: the option or key that sets it, if any."""
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
        raise UserError(f"{prefix(option)}{place}: cannot write ({why}); choose another folder") from error
