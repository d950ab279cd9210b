"""A CSV, TSV or Parquet file of somebody else's: chosen columns as text, times or lists, and where a row stands.

Strict: a ragged line is an error, never padded. Does NOT know atomic files or what a column is for.
"""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recbole_llmfashion.data.atomic.checks import parse_numbers
from recbole_llmfashion.data.atomic.table import quote_cell
from recbole_llmfashion.errors import UserError, nearest_name

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Source:
    """Chosen columns of a file.

    frame: one row a record; its index is the record's number from 0 and survives filtering. Strings for CSV, whatever
        the file holds for Parquet.
    lines: the 1-based line in which a record ends, for text files; empty for Parquet.
    """

    path: Path
    frame: pd.DataFrame
    lines: np.ndarray

    def place(self, row: int) -> str:
        """`line 12`; Parquet has rows, counted from 1."""
        return f"line {self.lines[row]}" if len(self.lines) else f"row {row + 1}"

    def where(self, row: int, column: str) -> str:
        """`items.csv, line 12, column title`."""
        return f"{self.path.name}, {self.place(row)}, column {column}"


def read_source(path: Path, columns: Sequence[str]) -> Source:
    """Read the columns named, by the file's suffix: .csv, .tsv, .parquet, .pq.

    Raises:
        UserError: missing file, other suffix, missing column (with the nearest), a file that does not parse.
    """
    suffix = path.suffix.lower()
    wanted = list(dict.fromkeys(columns))
    require_file(path)
    if suffix in _PARQUET:
        return _read_parquet(path, wanted)
    if suffix in _SEPARATORS:
        return _read_text(path, wanted, _SEPARATORS[suffix])
    raise UserError(
        f"{path.name}: the suffix {suffix!r} is none of .csv, .tsv, .parquet, .pq; rename or export the file"
    )


def require_file(path: Path) -> None:
    """Raise a UserError that names the nearest file where there is none at `path`."""
    if not path.is_file():
        near = nearest_name(path.name, (p.name for p in path.parent.iterdir())) if path.parent.is_dir() else None
        raise UserError(f"{path}: no such file" + (f"; the nearest is {path.with_name(near)}" if near else ""))


def require_columns(path: Path, wanted: Sequence[str], present: Sequence[str]) -> None:
    """Raise a UserError for the first column that is not there, with the nearest, or is there twice."""
    for column in wanted:
        if column not in present:
            near = nearest_name(column, present)
            hint = f"; the nearest is {quote_cell(near)}" if near else ""
            raise UserError(
                f"{path.name}: no column {quote_cell(column)} among {', '.join(map(quote_cell, present))}{hint}"
            )
        if present.count(column) > 1:
            raise UserError(
                f"{path.name}: the column {quote_cell(column)} is there {present.count(column)} times; rename one"
            )


def _read_parquet(path: Path, wanted: list[str]) -> Source:
    try:
        require_columns(path, wanted, pq.read_schema(path).names)
        frame = pq.read_table(path, columns=wanted).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path.name}: not readable as Parquet ({str(error).splitlines()[0]}); export it again"
        ) from error
    return Source(path, frame[wanted], np.empty(0, dtype=np.int64))


def _read_text(path: Path, wanted: list[str], separator: str) -> Source:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path.name}, line {line}: not UTF-8 text; save the file as UTF-8") from error
    old_limit = csv.field_size_limit(sys.maxsize)
    try:
        return _parse_text(path, wanted, csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    finally:
        csv.field_size_limit(old_limit)


def _parse_text(path: Path, wanted: list[str], reader: "csv._reader") -> Source:  # type: ignore[name-defined]
    # Not pandas: its readers pad short lines, cut long ones and stop at NUL bytes without a word.
    try:
        header: list[str] = next(reader, [])
        require_columns(path, wanted, header)
        places = [header.index(column) for column in wanted]
        rows: list[list[str]] = []
        lines: list[int] = []
        for row in reader:
            if len(row) != len(header):
                if not row:
                    continue
                fields = f"expected {len(header)} fields as in the header, found {len(row)}"
                raise UserError(f"{path.name}, line {reader.line_num}: {fields}; mend or quote the line")
            rows.append([row[place] for place in places])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise UserError(f"{path.name}, line {reader.line_num}: {error}; mend the quotes of the line") from error
    return Source(path, pd.DataFrame(rows, columns=wanted, dtype=object), np.array(lines, dtype=np.int64))


def as_text(values: pd.Series) -> pd.Series:
    """Cells as strings: nulls are "", whole floats (Parquet's ids with nulls) lose their ".0"."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    null = values.isna()
    known = values[~null]
    if pd.api.types.is_float_dtype(values) and ((known % 1 == 0) & (known.abs() < 2**53)).all():
        values = values.fillna(0).astype(np.int64)
    return values.astype(str).astype(object).where(~null, "")


def as_seconds(source: Source, column: str) -> tuple[pd.Series, bool]:
    """Times as float64 seconds, and whether they were dates: numbers stay as they are, ISO dates are taken as UTC.

    Raises:
        UserError: for the first time that is neither, negative, or not finite.
    """
    values = source.frame[column]
    is_date = pd.api.types.is_datetime64_any_dtype(values)
    if not is_date and pd.api.types.is_numeric_dtype(values):
        seconds = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        seconds = np.full(len(values), np.nan) if is_date else parse_numbers(as_text(values).to_numpy(dtype=object))
        if is_date or (len(values) and np.isnan(seconds).all()):
            is_date = True
            text = values if pd.api.types.is_datetime64_any_dtype(values) else as_text(values)
            seconds = _dates_to_seconds(text)
    bad = np.flatnonzero(~(np.isfinite(seconds) & (seconds >= 0)))
    if len(bad):
        kind = (
            "a number of seconds or an ISO date, not before 1970"
            if is_date
            else "a number of seconds, finite and not negative"
        )
        found = quote_cell(str(values.iloc[bad[0]]))
        raise UserError(
            f"{source.where(values.index[bad[0]], column)}: expected {kind}, found {found}; mend or drop the row"
        )
    return pd.Series(seconds, index=values.index), is_date


def _dates_to_seconds(values: pd.Series) -> np.ndarray:
    dates = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
    return ((dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).to_numpy(dtype=np.float64)
