"""Every file that a command of `convert` reads, replaced by something else: one line, status 2, nothing written."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recbole_llmfashion.cli.main import run
from tests.helpers.convert_published import PUBLISHED, rent_the_runway, retailrocket, sequences

JUNK = bytes(range(256)) * 8


def _header(path: Path, data: bytes) -> None:
    path.write_bytes(data.partition(b"\n")[0] + b"\n" if path.suffix == ".csv" else b"\n\n")


def _renamed(path: Path, data: bytes) -> None:
    """The first column, field or word of a line has another name."""
    path.write_bytes(b"\n".join(b'{"x": 1}' if line[:1] == b"{" else b"x" + line for line in data.split(b"\n")))


BAD: dict[str, Callable[[Path, bytes], object]] = {
    "gone": lambda path, _: path.unlink(),
    "a folder": lambda path, _: (path.unlink(), path.mkdir()),
    "empty": lambda path, _: path.write_bytes(b""),
    "junk": lambda path, _: path.write_bytes(JUNK),
    "junk in gzip": lambda path, _: path.write_bytes(gzip.compress(JUNK)[:-9]),
    "lines of nothing": _header,
    "other names": _renamed,
    "nested": lambda path, _: path.write_bytes(b"[" * 100_000),
}

TAKEN = {("category_tree.csv", "lines of nothing")}  # categories without levels above
QUICK = (rent_the_runway, retailrocket, sequences)  # one of JSON lines, one of tables, one of lines of text


def _files(words: list[str]) -> list[Path]:
    return [path for word in words if (path := Path(word)).is_file()]


@pytest.mark.parametrize(
    "write", [pytest.param(write, marks=[] if write in QUICK else [pytest.mark.slow]) for write in PUBLISHED]
)
def test_no_file_of_another_kind_is_taken(tmp_path, capsys, write):
    words = write(tmp_path)
    tried = 0
    for path in _files(words):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        good = path.read_bytes()
        for name, spoil in BAD.items():
            spoil(path, data)
            status = run(["convert", *words, "--out", str(tmp_path / "shop")])
            error = capsys.readouterr().err.split("\r")[-1]
            case = (path.name, name, status, error)
            if (path.name, name) in TAKEN:
                assert status == 0, case
                shutil.rmtree(tmp_path / "shop")
            else:
                lines = [line for line in error.splitlines() if line.startswith("error: ")]
                assert status == 2 and len(lines) == 1 and "Traceback" not in error, case
                assert not (tmp_path / "shop").exists(), case
            if path.is_dir():
                path.rmdir()
            path.write_bytes(good)
            tried += 1
    assert tried == len(_files(words)) * len(BAD)
    assert run(["convert", *words, "--out", str(tmp_path / "shop")]) == 0
