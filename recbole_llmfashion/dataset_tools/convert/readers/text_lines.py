"""Reads a text file, plain or .gz, line by line; lines that cannot be parsed are counted as broken."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
from recbole_llmfashion.dataset_tools.convert.sources.table_source import require_file
from recbole_llmfashion.errors import UserError

# far longer than any review or product; a file without line ends is not read into memory as one line
LONGEST_LINE = 1 << 24
_GZIP_MAGIC = b"\x1f\x8b"
_Parsed = TypeVar("_Parsed")


def read_lines(
    path: Path, broken: BrokenLines, parse: Callable[[bytes], _Parsed | None], reason: str, show_progress: bool = False
) -> Iterator[tuple[int, _Parsed]]:
    """Yield (line number from 1, parsed line); blank lines are skipped, broken ones are counted.

    Args:
        path: the file.
        broken: counts broken lines.
        parse: returns None for a line that cannot be used.
        reason: why it cannot be used, for the message.
        show_progress: whether to show a progress bar.

    Raises:
        UserError: the file is missing or damaged, or the first lines are all broken.
    """
    require_file(path)
    bar = tqdm(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True, disable=not show_progress)
    try:
        with path.open("rb") as raw, bar:
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            stream: BufferedIOBase = gzip.open(raw) if packed else raw  # noqa: SIM115
            for number, line in enumerate(_lines(stream), 1):
                if number % 1000 == 0:
                    bar.update(raw.tell() - bar.n)
                if line is not None and not line.strip():
                    continue
                broken.n_lines += 1
                parsed = None if line is None else parse(line)
                if parsed is None:
                    broken.add(reason, number)
                else:
                    yield number, parsed
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path.name}: damaged gzip ({error}); download it again") from error
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror}); check the file") from error


def _lines(stream: BufferedIOBase) -> Iterator[bytes | None]:
    """Yield lines; None for a line longer than LONGEST_LINE, which is skipped piece by piece."""
    while line := stream.readline(LONGEST_LINE):
        is_complete = len(line) < LONGEST_LINE or line.endswith(b"\n")
        while not is_complete and (rest := stream.readline(LONGEST_LINE)):
            is_complete = rest.endswith(b"\n")
            line = b""
        yield line or None
