"""Chosen columns of a large text table, plain or .gz, as a stream of blocks of which one is held at a time.

Knows separators and field counts. Does NOT know what a column means. Lines with another number of fields are counted,
not raised; everything is text, and a null is an empty cell.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

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

# one line must fit into a block
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
    """Frames of strings with `columns` in that order; a byte order mark and CRLF are accepted.

    Args:
        quotes: whether double quotes enclose fields; without, they are text.

    Raises:
        UserError: missing file or column, text that is not UTF-8, or what `broken` has to say.
    """

    ragged: list[int | None] = []

    def refuse(row: pc.InvalidRow) -> str:
        # an exception would not come through Arrow: noted here, counted between the blocks
        ragged.append(row.number)
        return "skip"

    def count(n_good: int) -> None:
        broken.model_inputs += n_good + len(ragged)
        if ragged:
            broken.add(RAGGED, ragged[0], len(ragged))
            ragged.clear()

    require_file(path)
    fields = header_of(path, separator)
    require_columns(path, columns, fields)
    bar = tqdm(desc=path.name, unit="rows", unit_scale=True, disable=not show_progress)
    try:
        with bar, pc.open_csv(
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
        raise UserError(f"{path.name}: not readable as a table: {str(error).splitlines()[0]}") from error


def header_of(path: Path, separator: str) -> list[str]:
    """The column names of a table.

    Raises:
        UserError: a file that does not begin with a line of text.
    """
    try:
        with pa.input_stream(path, compression="detect") as stream:
            first = stream.read(1 << 20).partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
    except (UnicodeDecodeError, pa.ArrowException, OSError) as error:
        raise UserError(f"{path.name}: not a table of UTF-8 text ({str(error).splitlines()[0]})") from error
    if not first:
        raise UserError(f"{path.name}: no header line; is this the file?")
    return [name.strip('"') for name in first.split(separator)]
