"""Reads a JSON-lines file, plain or .gz, record by record; lines that are not JSON objects are counted as broken."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.text_lines import read_lines
from recbole_llmfashion.files.json_text import parse_json


def read_json_lines(path: Path, broken: BrokenLines, show_progress: bool = False) -> Iterator[tuple[int, dict]]:
    """Yield (line number from 1, record); blank lines are skipped, broken ones are counted.

    Args:
        path: the file.
        broken: counts broken lines.
        show_progress: whether to show a progress bar.

    Raises:
        UserError: the file is missing or damaged, or the first lines are all broken.
    """
    return read_lines(path, broken, _parse, "not a JSON object", show_progress)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = parse_json(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
