"""Reads selected columns of a large text table, plain or .gz, block by block.

All cells are text, nulls are empty cells. Lines with a wrong number of fields are counted as broken.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
from tqdm import tqdm

from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
from recbole_llmfashion.dataset_tools.convert.sources.table_source import (
    require_columns,
    require_file,
)
from recbole_llmfashion.errors import UserError

# a line must fit into one block
BLOCK_BYTES = 1 << 24
RAGGED = "another number of fields than the header has"


def read_blocks(
    path: Path,
    columns: Sequence[str],
    broken: BrokenLines,
    separator: str = ",",
    quotes: bool = True,
    show_progress: bool = False,
) -> Iterator[pd.DataFrame]:
    """Yield frames of strings with `columns` in that order; a byte order mark and CRLF line ends are accepted.

    Args:
        path: the file.
        columns: names of the columns.
        broken: counts broken lines.
        separator: between fields.
        quotes: whether double quotes enclose fields; otherwise they are text.
        show_progress: whether to show a progress bar.

    Raises:
        UserError: the file or a column is missing, the text is not UTF-8, or too many lines are broken.
    """

    ragged: list[int | None] = []

    def refuse(row: pc.InvalidRow) -> str:
        # Arrow swallows exceptions of this handler, so lines are collected here and counted between blocks
        ragged.append(row.number)
        return "skip"

    def count(n_good: int) -> None:
        broken.n_lines += n_good + len(ragged)
        if ragged:
            broken.add(RAGGED, ragged[0], len(ragged))
            ragged.clear()

    fields = checked_header(path, columns, separator)
    undecodable: list[UnicodeDecodeError] = []
    bar = tqdm(desc=path.name, unit="rows", unit_scale=True, disable=not show_progress)
    try:
        with bar, _undecodable_rows() as undecodable, pc.open_csv(
            path,
            read_options=pc.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=pc.ParseOptions(
                delimiter=separator, quote_char='"' if quotes else False, invalid_row_handler=refuse
            ),
            convert_options=pc.ConvertOptions(
                include_columns=list(dict.fromkeys(columns)),
                column_types=dict.fromkeys(fields, pa.string()),
                strings_can_be_null=False,
            ),
        ) as reader:  # fmt: skip
            for batch in reader:
                count(batch.num_rows)
                bar.update(batch.num_rows)
                yield batch.to_pandas()[list(columns)]
            count(0)
    except (pa.ArrowException, OSError) as error:
        if undecodable:
            raise UserError(f"{path.name}: not UTF-8 text ({undecodable[0]}); save the file as UTF-8") from None
        raise UserError(f"{path.name}: not readable as a table: {str(error).splitlines()[0]}") from error


@contextmanager
def _undecodable_rows() -> Iterator[list[UnicodeDecodeError]]:
    """Collects the errors of Arrow where a row with a wrong number of fields is not UTF-8.

    Arrow decodes such a row for the handler, outside of any `try`, and Python would print a traceback.
    """
    found: list[UnicodeDecodeError] = []
    original = sys.unraisablehook

    def collect(event: Any) -> None:
        if isinstance(event.exc_value, UnicodeDecodeError):
            found.append(event.exc_value)
        else:
            original(event)

    sys.unraisablehook = collect
    try:
        yield found
    finally:
        sys.unraisablehook = original


def header_of(path: Path, separator: str) -> list[str]:
    """Column names of a table.

    Raises:
        UserError: the file does not begin with a line of UTF-8 text.
    """
    try:
        with pa.input_stream(path, compression="detect") as stream:
            first = stream.read(1 << 20).partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
    except (UnicodeDecodeError, pa.ArrowException, OSError) as error:
        raise UserError(f"{path.name}: not a table of UTF-8 text ({str(error).splitlines()[0]})") from error
    if not first:
        raise UserError(f"{path.name}: no header line; is this the right file?")
    return [name.strip('"') for name in first.split(separator)]


def checked_header(path: Path, columns: Sequence[str], separator: str = ",") -> list[str]:
    """Column names of a table, which sources check before a long file is read.

    Args:
        path: the file.
        columns: names that must be there, each once.
        separator: between fields.

    Raises:
        UserError: the file or a column is missing, or what `header_of` raises.
    """
    require_file(path)
    fields = header_of(path, separator)
    require_columns(path, columns, fields, separator)
    return fields
