"""Writes a dataset's folder of atomic files from its frames, and the hash of its bytes.

Reading a folder (folder.py) and writing it reproduces its bytes.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.folder import INTER, ITEM, SEARCH, SPECS, AtomicFolder, file_names
from recbole_llmfashion.data.atomic.table import TableSpec
from recbole_llmfashion.files.changes import reading, replace_files

Content = tuple[str, str | bytes]  # name of a file, what it holds


def write_folder(
    folder: AtomicFolder,
    others: Callable[[str], Iterable[Content]] = lambda data_sha256: (),
    remove: Iterable[str] = (),
    option: str = "",
) -> None:
    """Write the dataset's files, the inverse of `read_folder`: the same frames give the same bytes.

    The files change together (files/changes.py): the old ones survive a full disk or a killed process. Without searches
    there is no `.search` file; an old one is removed.

    Args:
        folder: the dataset.
        others: given the hash of the data, further files of the folder, such as README.md, for the same change.
        remove: names of further files that the change removes.
        option: the option that sets the folder, for error messages.

    Raises:
        UserError: a file cannot be written, or another command is writing to the folder.
        ValueError: a cell contains a tab, a line end or a NUL byte.
    """
    search = [] if len(folder.searches) else [folder.name + SEARCH.suffix]
    replace_files(folder.path, _contents(folder, others), [*search, *remove], option)


def _contents(folder: AtomicFolder, others: Callable[[str], Iterable[Content]]) -> Iterator[Content]:
    tables = ((INTER, folder.interactions), (SEARCH, folder.searches), (ITEM, folder.items))
    digest = hashlib.sha256()
    for spec, frame in tables:
        digest.update(_separator(spec))
        if not (spec is SEARCH and frame.empty):
            further = folder.further if spec is ITEM else {}
            content = _table_bytes(frame, spec, further, folder.names)
            digest.update(content)
            yield folder.name + spec.suffix, content
    yield from others(digest.hexdigest())


def _separator(spec: TableSpec) -> bytes:
    """What precedes a file's bytes in the hash of a dataset."""
    return f"\0{spec.suffix}\0".encode()


def _table_bytes(frame: pd.DataFrame, spec: TableSpec, further: Mapping[str, str], names: FieldNames) -> bytes:
    types = spec.types | dict(further)
    columns = [c for c in types if c in spec.required or c in frame.columns]
    texts = [number_texts(frame[c]) if spec.types.get(c) == "float" else frame[c].tolist() for c in columns]
    in_file = names.in_file(spec)
    header = "\t".join(f"{in_file.get(c, c)}:{types[c]}" for c in columns)
    lines = [header, *map("\t".join, zip(*texts, strict=True))]
    text = "\n".join(lines) + "\n"
    foreign = text.count("\n") != len(frame) + 1 or text.count("\t") != (len(frame) + 1) * (len(columns) - 1)
    if foreign or "\r" in text or "\0" in text:
        raise ValueError(f"a cell of the {spec.suffix} frame contains a tab, a line end or a NUL byte")
    return text.encode("utf-8")


def number_texts(values: pd.Series) -> Iterator[str]:
    """Floats as the shortest texts that read back as the same numbers, "" for NaN."""
    # float.__repr__ is the shortest text that reads back as the same float64; ".0" of whole numbers is dropped
    return ("" if v != v else repr(v).removesuffix(".0") for v in values.astype(float).tolist())


def folder_sha256(path: Path, name: str) -> str:
    """SHA-256 hex digest over the bytes of `.inter`, `.search` and `.item`, each preceded by its suffix.

    Args:
        path: the dataset's folder.
        name: name of the dataset. A missing file counts as an empty one.

    Raises:
        UserError: another command changed the files meanwhile.
    """
    digest = hashlib.sha256()
    with reading(path, file_names(name)):
        for spec in SPECS:
            file = path / (name + spec.suffix)
            digest.update(_separator(spec))
            if file.is_file():
                with file.open("rb") as stream:
                    while block := stream.read(1 << 20):
                        digest.update(block)
    return digest.hexdigest()
