"""A log of JSON lines that a kill leaves readable."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from recbole_llmfashion.files.json_text import parse_json


class JsonLines:
    """An append-only log, one JSON value per line; a value is on the disk when `append` returns.

    A line counts once its newline is written: an incomplete last line, left by a killed writer, is not read and is
    removed by the next `append`.

    Args:
        path: the file; the first `append` creates it.
        ascii_only: whether letters outside of ASCII are escaped.
    """

    def __init__(self, path: Path, ascii_only: bool = False) -> None:
        self.path, self._ascii_only = path, ascii_only

    def end(self) -> int:
        """The position behind the last complete line; 0 where there is no file."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as stream:
            return _end_of_lines(stream)

    def append(self, value: Any) -> int:
        """Writes one value and returns the size of the file in bytes."""
        line = json.dumps(value, ensure_ascii=self._ascii_only).encode() + b"\n"
        with self.path.open("r+b" if self.path.exists() else "wb+") as stream:
            end = _end_of_lines(stream)
            stream.truncate(end)
            stream.seek(end)
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        return end + len(line)

    def read(self, start: int = 0, most: int | None = None) -> tuple[list[Any], int]:
        """Reads the complete lines from a byte position on.

        Args:
            start: position of the first line.
            most: number of lines to read at most; None reads all.

        Returns:
            the values, and the position behind the last one.

        Raises:
            OSError: the file cannot be read.
            ValueError: a line is not JSON.
        """
        with self.path.open("rb") as stream:
            stream.seek(start)
            raw = stream.read()
        lines = raw[: raw.rfind(b"\n") + 1].splitlines(keepends=True)[:most]
        return [parse_json(line) for line in lines], start + sum(map(len, lines))


def _end_of_lines(stream: BinaryIO) -> int:
    """The position behind the last newline of a file; searches backwards, because most files end in one."""
    position = stream.seek(0, os.SEEK_END)
    while position > 0:
        size = min(4096, position)
        position = stream.seek(position - size)
        newline = stream.read(size).rfind(b"\n")
        if newline >= 0:
            return position + newline + 1
    return 0
