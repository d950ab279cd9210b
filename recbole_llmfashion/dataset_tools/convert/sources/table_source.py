"""Reads selected columns of a CSV, TSV or Parquet file as text, times or lists, with the line of each row.

A line with a wrong number of fields is an error.
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
from recbole_llmfashion.data.atomic.times import LATEST, RANGE, UNITS, guess, likely_unit
from recbole_llmfashion.errors import UserError, nearest_name

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_MARKS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Source:
    """Selected columns of a file.

    Args:
        path: the file.
        frame: one row per record, indexed by the record's number from 0, which filtering keeps. Strings for CSV, any
            type for Parquet.
        lines: line number, from 1, at which each record of a text file ends; empty for Parquet.
    """

    path: Path
    frame: pd.DataFrame
    lines: np.ndarray

    def place(self, row: int) -> str:
        """Place of a record for a message, such as `line 12`; for Parquet `row 12`, counted from 1."""
        return f"line {self.lines[row]}" if len(self.lines) else f"row {row + 1}"

    def where(self, row: int, column: str) -> str:
        """Place of a cell for a message, such as `items.csv, line 12, column title`."""
        return f"{self.path.name}, {self.place(row)}, column {column}"


def read_source(path: Path, columns: Sequence[str]) -> Source:
    """Read columns of a file; its suffix determines the format: .csv, .tsv, .parquet, .pq.

    Raises:
        UserError: the file or a column is missing, the suffix is unknown, or the file does not parse.
    """
    suffix = path.suffix.lower()
    names = list(dict.fromkeys(columns))
    require_file(path)
    if suffix in _PARQUET:
        return _read_parquet(path, names)
    if suffix in _SEPARATORS:
        return _read_text(path, names, _SEPARATORS[suffix])
    raise UserError(
        f"{path.name}: expected the suffix .csv, .tsv, .parquet or .pq, found {suffix!r}; rename or export the file"
    )


def require_rows(source: Source) -> Source:
    """The same source; a UserError if it has no rows."""
    if source.frame.empty:
        raise UserError(f"{source.path.name}: expected rows below the header, found none; is this the right file?")
    return source


def require_file(path: Path) -> None:
    """Raise a UserError, which names the nearest file, if there is no file at `path`."""
    if not path.is_file():
        near = nearest_name(path.name, (p.name for p in path.parent.iterdir())) if path.parent.is_dir() else None
        raise UserError(f"{path}: no such file" + (f"; the nearest is {path.with_name(near)}" if near else ""))


def require_columns(path: Path, names: Sequence[str], present: Sequence[str], separator: str | None = None) -> None:
    """Raise a UserError for the first column that is missing, with the nearest name, or occurs twice.

    Args:
        path: the file.
        names: of the columns.
        present: the header.
        separator: between the columns of the file; None if it is not known.
    """
    for column in names:
        if column not in present:
            if separator and len(present) == 1 and (other := next((m for m in _MARKS if m in present[0]), None)):
                expected = f"expected columns separated by {_MARKS[separator]}"
                raise UserError(f"{path.name}: {expected}, found {other!r}; save it with {_MARKS[separator]}")
            near = nearest_name(column, present)
            hint = f"; the nearest is {quote_cell(near)}" if near else ""
            raise UserError(
                f"{path.name}: no column {quote_cell(column)} among {', '.join(map(quote_cell, present))}{hint}"
            )
        if present.count(column) > 1:
            raise UserError(
                f"{path.name}: expected the column {quote_cell(column)} once, found it {present.count(column)} times;"
                " rename one"
            )


def _read_parquet(path: Path, names: list[str]) -> Source:
    try:
        require_columns(path, names, pq.read_schema(path).names)
        # without the option a null makes a column float64, which merges ids above 2**53
        frame = pq.read_table(path, columns=names).to_pandas(ignore_metadata=True, integer_object_nulls=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path.name}: not readable as Parquet ({str(error).splitlines()[0]}); export it again"
        ) from error
    return Source(path, frame[names], np.empty(0, dtype=np.int64))


def _read_text(path: Path, names: list[str], separator: str) -> Source:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path.name}, line {line}: not UTF-8 text; save the file as UTF-8") from error
    old_limit = csv.field_size_limit(sys.maxsize)
    try:
        return _parse_text(path, names, csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    finally:
        csv.field_size_limit(old_limit)


def _parse_text(path: Path, names: list[str], reader: "csv._reader") -> Source:  # type: ignore[name-defined]
    # not pandas: its readers pad short lines, cut long ones and stop at NUL bytes without an error
    try:
        header: list[str] = next(reader, [])
        if not header:
            raise UserError(f"{path.name}: no header line, the file is empty or begins with an empty line; fix it")
        require_columns(path, names, header, reader.dialect.delimiter)
        places = [header.index(column) for column in names]
        rows: list[list[str]] = []
        lines: list[int] = []
        for row in reader:
            if len(row) != len(header):
                if not row:
                    continue
                fields = f"expected {len(header)} fields as in the header, found {len(row)}"
                raise UserError(f"{path.name}, line {reader.line_num}: {fields}; fix or quote the line")
            rows.append([row[place] for place in places])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise UserError(f"{path.name}, line {reader.line_num}: {error}; fix the quotes of the line") from error
    return Source(path, pd.DataFrame(rows, columns=names, dtype=object), np.array(lines, dtype=np.int64))


def as_text(values: pd.Series) -> pd.Series:
    """Cells as strings: nulls become "", integers stored as floats (Parquet's ids with nulls) lose their ".0".

    >>> as_text(pd.Series([1.0, None, 3.0])).tolist()
    ['1', '', '3']
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    null = values.isna()
    present = values[~null]
    if pd.api.types.is_float_dtype(values) and ((present % 1 == 0) & (present.abs() < 2**53)).all():
        values = values.fillna(0).astype(np.int64)
    return values.astype(str).astype(object).where(~null, "")


def parts_of_second(unit: str) -> float:
    """How many of a unit are a second.

    Raises:
        UserError: an unknown unit.
    """
    if unit not in UNITS:
        raise UserError(f"--time-unit: expected one of {', '.join(UNITS)}, found '{unit}'")
    return UNITS[unit]


def advice_on_time(value: float) -> tuple[str, str]:
    """What a number of a file that is no time most likely is, for the message, and what to do about it.

    >>> advice_on_time(1_700_000_000_000)
    (', probably milliseconds (2023-11-14)', 'add --time-unit ms')
    """
    unit = likely_unit(value)
    return ("", "fix or remove the row") if unit is None else (f", {guess(value)}", f"add --time-unit {unit}")


def as_seconds(source: Source, column: str, unit: str = "s") -> tuple[pd.Series, bool]:
    """Times as float64 seconds, and whether they were dates.

    ISO dates without a time zone are read as UTC.

    Args:
        source: the table.
        column: name of the column.
        unit: of times that are numbers: s, ms, us or ns.

    Raises:
        UserError: a time is neither a number nor a date, or the calendar cannot use it; dates with a unit.
    """
    parts = parts_of_second(unit)
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
    if is_date and unit != "s":
        raise UserError(f"--time-unit: the times of {source.path.name} are dates; leave the option out")
    seconds = seconds / parts
    bad = np.flatnonzero(~((seconds >= 0) & (seconds < LATEST)))
    if len(bad):
        kind = "a number of seconds or an ISO date, not before 1970" if is_date else f"a number of {RANGE}"
        found = quote_cell(str(values.iloc[bad[0]]))
        number = float(seconds[bad[0]]) * parts
        probably, advice = advice_on_time(number)
        if likely := likely_unit(number):
            advice += f" if every file has this unit, or divide the column by {UNITS[likely]:,.0f}"
        raise UserError(
            f"{source.where(values.index[bad[0]], column)}: expected {kind}, found {found}{probably}; {advice}"
        )
    return pd.Series(seconds, index=values.index), is_date


def _dates_to_seconds(values: pd.Series) -> np.ndarray:
    dates = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
    return ((dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).to_numpy(dtype=np.float64)
