"""Reads one tab-separated atomic file into a frame of strings.

Checks encoding, header and number of fields, and reports each error with its line. The values of the cells are checked
by data/atomic/checks.py.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from recbole_llmfashion.errors import UserError, nearest_name

_BOM = b"\xef\xbb\xbf"
_OTHER_SEPARATORS = {"comma": ",", "semicolon": ";", "vertical bar": "|", "space": " "}
_ADVICE = {"validate": "to see every problem", "clean": "to fix it"}
ROWS_PER_KIND = 3


class AtomicError(UserError):
    """An error in an atomic file, with its place and the command to run.

    Args:
        folder: the dataset's folder, an argument of the command.
        file: name of the file.
        line: line number, the header is line 1; None for the whole file.
        column: name of the column; None for the whole line.
        expected, found: phrases for the message.
        command: the command that the message recommends, `validate` or `clean`.
        first_of_kind: False for further lines with the same error.
        options: of the command.
        instead: what to do, where it is no such command.
        alike: of the first of its kind: the number of lines with this error.

    Attributes:
        problem: the message without the command.

    >>> error = AtomicError(Path("data/shoes"), "shoes.inter", 3, "timestamp", "a number", "'abc'")
    >>> error.problem
    "shoes.inter, line 3, column timestamp: expected a number, found 'abc'"
    """

    def __init__(
        self,
        folder: Path,
        file: str,
        line: int | None,
        column: str | None,
        expected: str,
        found: str,
        command: str = "validate",
        first_of_kind: bool = True,
        options: Sequence[str] = (),
        instead: str | None = None,
        alike: int = 1,
    ) -> None:
        self.file, self.line, self.column, self.expected = file, line, column, expected
        self.first_of_kind, self.options, self.instead = first_of_kind, options, instead
        self.alike = alike
        self._folder, self._command = folder, command
        place = [file] + [f"line {line}"] * (line is not None) + [f"column {column}"] * (column is not None)
        self.problem = f"{', '.join(place)}: expected {expected}, found {found}"
        super().__init__(self.problem)

    def __str__(self) -> str:
        if self.instead is not None:
            return f"{self.problem}; {self.instead}"
        words = shlex.join(["recbole-llmfashion", self._command, str(self._folder), *self.options])
        return f"{self.problem}; run `{words}` {_ADVICE[self._command]}"


Report = Callable[[AtomicError], None]
HeaderError = tuple[str | None, str, str]  # column, expected, found


def raise_error(error: AtomicError) -> NoReturn:
    """A `Report` that raises the first error."""
    raise error


@dataclass(frozen=True)
class TableSpec:
    """Columns of one kind of atomic file.

    Args:
        suffix: of the file name, such as ".inter".
        required, optional: column name -> RecBole type, in the order in which columns are written.
        further: RecBole types of any other columns, which are written behind these; none where there must not be any.
        keys: column -> the key of RecBole that names it, for messages.
        replaced: column that a key gives another name -> that name; such a column must not be there too.
        assumed: required column -> what its cells are where the file does not have it.
    """

    suffix: str
    required: Mapping[str, str]
    optional: Mapping[str, str]
    further: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    assumed: Mapping[str, str] = field(default_factory=dict)

    @property
    def types(self) -> dict[str, str]:
        """Column name -> RecBole type of all columns."""
        return {**self.required, **self.optional}

    def described(self, column: str) -> str:
        """A column, with the key that names it."""
        return f"{column} (key {self.keys[column]})" if column in self.keys else column


def quote_cell(value: str) -> str:
    """A cell as text for a one-line message: quoted, control characters escaped, cut after 60 characters.

    >>> quote_cell("red shoe")
    "'red shoe'"
    >>> quote_cell("x" * 1000)[-25:]
    "' and 940 characters more"
    """
    return repr(value) if len(value) <= 60 else f"{value[:60]!r} and {len(value) - 60:,} characters more"


def read_table(folder: Path, name: str, spec: TableSpec, report: Report) -> pd.DataFrame | None:
    """Read `<folder>/<name><spec.suffix>`, which must exist, as strings in file order.

    Quotes have no special meaning and "NA" or "null" are ordinary texts. CRLF line ends and a UTF-8 byte order mark are
    accepted.

    Args:
        folder: the dataset's folder.
        name: name of the dataset.
        spec: the file's columns.
        report: called with each error.

    Returns:
        a frame with the columns of `spec` that the file has or that are assumed, in the order of `spec`, then its
        further columns in file order; None if there was an error.
    """
    file = name + spec.suffix

    def refuse(
        line: int | None, column: str | None, expected: str, found: str, first: bool = True, alike: int = 1
    ) -> None:
        report(AtomicError(folder, file, line, column, expected, found, first_of_kind=first, alike=alike))

    raw = (folder / file).read_bytes().removeprefix(_BOM).replace(b"\r\n", b"\n")
    if error := _byte_error(raw):
        refuse(error[0], None, error[1], error[2])
        return None
    header, _, body = raw.partition(b"\n")
    columns, errors = _parse_header(header.decode(), spec)
    for column, expected, found in errors:
        refuse(1, column, expected, found)
    if errors:
        return None
    if body and not body.endswith(b"\n"):
        body += b"\n"
    n_ragged, ragged = _ragged_lines(body, len(columns))
    for index, (line, found) in enumerate(ragged):
        refuse(line, None, f"{len(columns)} fields separated by tabs", found, index == 0, n_ragged)
    if ragged:
        return None
    further = [column for column in columns if column not in spec.types]
    frame = _parse_body(body, columns)
    frame = frame.assign(**{column: cell for column, cell in spec.assumed.items() if column not in columns})
    return frame[[*(c for c in spec.types if c in frame), *further]]


def column_types(folder: Path, name: str, spec: TableSpec) -> dict[str, str]:
    """The columns of `<folder>/<name><spec.suffix>`, which must exist, and their RecBole types, by the header alone.

    Raises:
        AtomicError: the first error of the header.
    """
    file = name + spec.suffix
    with (folder / file).open("rb") as stream:
        raw = stream.readline().removeprefix(_BOM).rstrip(b"\r\n")
    if error := _byte_error(raw):
        raise AtomicError(folder, file, error[0], None, error[1], error[2])
    for column, expected, found in _parse_header(raw.decode(), spec)[1]:
        raise AtomicError(folder, file, 1, column, expected, found)
    return {column: kind for column, _, kind in (cell.partition(":") for cell in raw.decode().split("\t"))}


def _byte_error(raw: bytes) -> tuple[int, str, str] | None:
    """(line, expected, found) of the first byte that is not allowed; CRLF is already replaced by LF."""
    if not raw:
        return 1, "a header line", "an empty file"
    for byte, name in ((b"\0", "a NUL byte (is the file UTF-16?)"), (b"\r", "a carriage return inside a line")):
        index = raw.find(byte)
        if index >= 0:
            return raw.count(b"\n", 0, index) + 1, "UTF-8 text without control bytes", name
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return raw.count(b"\n", 0, error.start) + 1, "UTF-8 text", f"the byte 0x{raw[error.start]:02x}"
    return None


def _parse_header(header: str, spec: TableSpec) -> tuple[list[str], list[HeaderError]]:
    """Column names in file order, and the errors."""
    if "\t" not in header:
        counts = {name: header.count(mark) for name, mark in _OTHER_SEPARATORS.items()}
        likely = max(counts, key=lambda name: counts[name])
        found = f"columns separated by {likely}" if counts[likely] else f"one column, {quote_cell(header)}"
        return [], [(None, "columns separated by tabs", found)]
    fields = header.split("\t")
    names = [cell.partition(":")[0] for cell in fields]
    errors = [error for cell in fields for error in _field_errors(cell, names, spec)]
    for name in [n for n in dict.fromkeys((*spec.types, *names)) if names.count(n) > 1]:
        errors.append((name, "each column once", f"it {names.count(name)} times"))
    for name in [n for n in spec.required if n not in names and n not in spec.assumed]:
        near = nearest_name(name, names)
        found = f"none; the nearest is {quote_cell(near)}" if near else f"only {', '.join(map(quote_cell, names))}"
        key = f", the name that the key {spec.keys[name]} gives" if name in spec.keys else ""
        errors.append((name, f"a column {name}:{spec.types[name]}{key}", found))
    return names, errors


def misspelled(name: str, names: Sequence[str], spec: TableSpec) -> str | None:
    """The column of the spec, absent from the file, that a further column is most likely meant to be; None for none.

    Args:
        name: of the further column.
        names: of all columns of the file.
        spec: the file's columns.
    """
    return nearest_name(name, [column for column in spec.types if column not in names], 0.8)


def _field_errors(cell: str, names: Sequence[str], spec: TableSpec) -> list[HeaderError]:
    """Errors of one cell of the header, a column's name before the colon; `names` are those of all cells."""
    name = cell.partition(":")[0]
    if name in spec.replaced:
        ours, both = spec.described(spec.replaced[name]), spec.replaced[name] in names
        found = f"{quote_cell(cell)} beside it" if both else f"the unknown column {quote_cell(cell)}"
        return [(name, f"the column {ours}", found)]
    if name and name not in spec.types and spec.further and not misspelled(name, names, spec):
        if not name.isidentifier():
            return [(None, "a column name of letters, digits and _", quote_cell(name))]
        kinds = [f"{name}:{kind}" for kind in spec.further]
        return [] if cell in kinds else [(name, f"the header {' or '.join(kinds)}", quote_cell(cell))]
    if name not in spec.types:
        absent = {column: spec.described(column) for column in spec.types if column not in names}
        near = nearest_name(name, absent)
        expected = f"one of the columns {', '.join(absent.get(column, column) for column in spec.types)}"
        expected = f"the column {absent[near]}" if near else expected
        return [(name or "(no name)", expected, f"the unknown column {quote_cell(cell)}")]
    if cell != f"{name}:{spec.types[name]}":
        return [(name, f"the header {name}:{spec.types[name]}", quote_cell(cell))]
    return []


def _ragged_lines(body: bytes, n_fields: int) -> tuple[int, list[tuple[int, str]]]:
    """The number of lines whose number of fields is not `n_fields`, and (line, what was found) of the first."""
    # pandas would pad short lines with empty cells without an error
    flat = np.frombuffer(body, dtype=np.uint8)
    ends = np.flatnonzero(flat == ord("\n"))
    tabs = np.flatnonzero(flat == ord("\t"))
    fields = np.diff(np.searchsorted(tabs, ends), prepend=0) + 1
    wrong = np.flatnonzero(fields != n_fields)
    first: list[tuple[int, str]] = []
    for row in wrong[:ROWS_PER_KIND]:
        start = int(ends[row - 1]) + 1 if row else 0
        line = body[start : int(ends[row])].decode()
        marks = [n for n, mark in _OTHER_SEPARATORS.items() if fields[row] == 1 and line.count(mark) == n_fields - 1]
        found = f"{fields[row]}" if line else "an empty line"
        first.append((int(row) + 2, found + (f" (fields separated by {marks[0]}?)" if marks else "")))
    return len(wrong), first


def _parse_body(body: bytes, columns: list[str]) -> pd.DataFrame:
    return pd.read_csv(
        BytesIO(body),
        sep="\t",
        header=None,
        names=columns,
        dtype=str,
        quoting=3,  # csv.QUOTE_NONE: a quote in a title is text
        keep_default_na=False,
        na_filter=False,
        skip_blank_lines=False,
        lineterminator="\n",
        encoding="utf-8",
        engine="c",
    )
