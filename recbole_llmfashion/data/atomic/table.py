"""One tab-separated atomic file: bytes to a frame of strings, or the reason why not, with its line.

Knows separators, encodings, headers and field counts. Does NOT know what a column means, which values it may hold or
which other files there are.
"""

import difflib
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from recbole_llmfashion.errors import UserError

_BOM = b"\xef\xbb\xbf"
_OTHER_SEPARATORS = {"comma": ",", "semicolon": ";", "vertical bar": "|", "space": " "}
_ADVICE = {"validate": "to see every problem", "clean": "to mend it"}
ROWS_PER_KIND = 3


class AtomicError(UserError):
    """A place in an atomic file that breaks the format: `problem` is the finding, str() adds the command to run.

    Args:
        folder: the folder of the dataset, for the command.
        file: name of the file; line: 1-based, the header is line 1, None for the whole file; column: None for the
            whole line.
        expected, found: one phrase each.
        command: `validate` or `clean`, which the text advises.
        first_of_kind: False for further lines with the same fault.
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
    ) -> None:
        self.file, self.line, self.column, self.expected = file, line, column, expected
        self.first_of_kind = first_of_kind
        place = [file] + [f"line {line}"] * (line is not None) + [f"column {column}"] * (column is not None)
        self.problem = f"{', '.join(place)}: expected {expected}, found {found}"
        advice = f"run `recbole-llmfashion {command} {shlex.quote(str(folder))}` {_ADVICE[command]}"
        super().__init__(f"{self.problem}; {advice}")


Report = Callable[[AtomicError], None]


def raise_error(error: AtomicError) -> NoReturn:
    """The strict report: stop at the first finding."""
    raise error


@dataclass(frozen=True)
class TableSpec:
    """Columns of one kind of atomic file, name -> RecBole type, in the order in which they are written."""

    suffix: str
    required: Mapping[str, str]
    optional: Mapping[str, str]

    @property
    def types(self) -> dict[str, str]:
        return {**self.required, **self.optional}


def shown(value: str) -> str:
    """A cell for a one-line message: quoted, control and bidirectional marks escaped, cut at 60 characters."""
    return repr(value) if len(value) <= 60 else f"{value[:60]!r} and {len(value) - 60:,} characters more"


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `name`, or None where none is like it."""
    matches = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.4)
    return matches[0] if matches else None


def read_table(folder: Path, name: str, spec: TableSpec, report: Report) -> pd.DataFrame | None:
    """Read `<folder>/<name><spec.suffix>`, which exists, as strings in file order.

    Quotes, "NA", "null" and every other text stand for themselves; CRLF line ends and a UTF-8 byte order mark are
    accepted.

    Returns:
        a frame with the columns of `spec` that the file has, in spec order; None after a reported error.
    """
    file = name + spec.suffix

    def refuse(line: int | None, column: str | None, expected: str, found: str, first: bool = True) -> None:
        report(AtomicError(folder, file, line, column, expected, found, first_of_kind=first))

    raw = (folder / file).read_bytes().removeprefix(_BOM).replace(b"\r\n", b"\n")
    if fault := _byte_fault(raw):
        refuse(fault[0], None, fault[1], fault[2])
        return None
    header, _, body = raw.partition(b"\n")
    columns, faults = _parse_header(header.decode(), spec)
    for column, expected, found in faults:
        refuse(1, column, expected, found)
    if faults:
        return None
    if body and not body.endswith(b"\n"):
        body += b"\n"
    ragged = list(_ragged_lines(body, len(columns)))
    for index, (line, found) in enumerate(ragged):
        refuse(line, None, f"{len(columns)} fields separated by tabs", found, index == 0)
    return None if ragged else _parse_body(body, columns)[[c for c in spec.types if c in columns]]


def _byte_fault(raw: bytes) -> tuple[int, str, str] | None:
    """(line, expected, found) of the first byte that no atomic file may hold; CRLF is already folded."""
    if not raw:
        return 1, "a header line", "an empty file"
    for byte, name in ((b"\0", "a NUL byte (is the file UTF-16?)"), (b"\r", "a carriage return inside a line")):
        at = raw.find(byte)
        if at >= 0:
            return raw.count(b"\n", 0, at) + 1, "UTF-8 text without control bytes of its own", name
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return raw.count(b"\n", 0, error.start) + 1, "UTF-8 text", f"the byte 0x{raw[error.start]:02x}"
    return None


def _parse_header(header: str, spec: TableSpec) -> tuple[list[str], list[tuple[str | None, str, str]]]:
    """Column names in file order, and the faults as (column, expected, found)."""
    if "\t" not in header:
        counts = {name: header.count(mark) for name, mark in _OTHER_SEPARATORS.items()}
        likely = max(counts, key=lambda name: counts[name])
        found = f"columns separated by {likely}" if counts[likely] else f"one column, {shown(header)}"
        return [], [(None, "columns separated by tabs", found)]
    fields = header.split("\t")
    names = [field.partition(":")[0] for field in fields]
    faults: list[tuple[str | None, str, str]] = []
    for name, field in zip(names, fields, strict=True):
        if name not in spec.types:
            near = nearest(name, spec.types)
            known = f"the column {near}" if near else f"one of the columns {', '.join(spec.types)}"
            faults.append((name or "(no name)", known, f"the unknown column {shown(field)}"))
        elif field != f"{name}:{spec.types[name]}":
            faults.append((name, f"the header {name}:{spec.types[name]}", shown(field)))
    for name in [n for n in spec.types if names.count(n) > 1]:
        faults.append((name, "each column once", f"it {names.count(name)} times"))
    for name in [n for n in spec.required if n not in names]:
        near = nearest(name, names)
        found = f"none; the nearest is {shown(near)}" if near else f"only {', '.join(map(shown, names))}"
        faults.append((name, f"a column {name}:{spec.types[name]}", found))
    return names, faults


def _ragged_lines(body: bytes, n_fields: int) -> Iterator[tuple[int, str]]:
    """(line, what was found) of the first lines whose number of fields is not `n_fields`."""
    # Counted here because pandas pads short lines with empty cells without a word.
    flat = np.frombuffer(body, dtype=np.uint8)
    ends = np.flatnonzero(flat == ord("\n"))
    tabs = np.flatnonzero(flat == ord("\t"))
    fields = np.diff(np.searchsorted(tabs, ends), prepend=0) + 1
    wrong = np.flatnonzero(fields != n_fields)
    for row in wrong[:ROWS_PER_KIND]:
        start = int(ends[row - 1]) + 1 if row else 0
        line = body[start : int(ends[row])].decode()
        marks = [n for n, mark in _OTHER_SEPARATORS.items() if fields[row] == 1 and line.count(mark) == n_fields - 1]
        found = f"{fields[row]}" if line else "an empty line"
        yield int(row) + 2, found + (f" (fields separated by {marks[0]}?)" if marks else "")


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
