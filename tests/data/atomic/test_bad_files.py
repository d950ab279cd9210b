"""A thousand broken atomic files from a seed: refused in lines that name their place, or loaded with valid rows."""

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicError, AtomicFolder, read_folder, scan_folder
from recbole_llmfashion.data.atomic.writer import write_folder
from recbole_llmfashion.dataset_tools.clean import clean
from recbole_llmfashion.dataset_tools.validate import validate
from recbole_llmfashion.errors import UserError
from tests.helpers.fakes import INTER, ITEM, SEARCH, write_tiny

SEED, PER_KIND = 20, 63
WORDS = [
    "", " ", "NaN", "nan", "inf", "-inf", "-1", "1e999", "1e18", "9" * 400, "0x10", "1_000", " 1", "1 ", "+1", "１",
    "1,5", "1.", ".5", "True", "None", "\u2028", "\x85", "\u00a0", "a b", "a,b", "\ufeff", '"', "'", "\\t", "\x00",
    "\r", "💥", "x" * 70_000, "click", "purchase", "11",
]  # fmt: skip
HEADERS = [":float", ":token", ":token_seq", ":float_seq", "", ":", ":Token", ":int", "::token"]
Mutation = Callable[[random.Random, bytes], bytes]


def cells(draw: random.Random, raw: bytes, change: Callable[[str], str], first: int = 0) -> bytes:
    """Changes one cell; `first` is the first line it may be in."""
    lines = [line.split("\t") for line in raw.decode().split("\n")[:-1]]
    line = draw.randrange(first, len(lines))
    column = draw.randrange(len(lines[line]))
    lines[line][column] = change(lines[line][column])
    return ("\n".join("\t".join(line) for line in lines) + "\n").encode()


def truncated(draw: random.Random, raw: bytes) -> bytes:
    return raw[: draw.randrange(len(raw))]


def wrong_type(draw: random.Random, raw: bytes) -> bytes:
    return cells(draw, raw, lambda cell: draw.choice(WORDS), 1)


def missing_column(draw: random.Random, raw: bytes) -> bytes:
    lines = [line.split("\t") for line in raw.decode().split("\n")[:-1]]
    column, header_only = draw.randrange(len(lines[0])), draw.random() < 0.3
    for line in lines[:1] if header_only else lines:
        del line[column]
    return ("\n".join("\t".join(line) for line in lines) + "\n").encode()


def repeated_line(draw: random.Random, raw: bytes) -> bytes:
    lines = raw.split(b"\n")[:-1]
    lines.insert(draw.randrange(len(lines) + 1), draw.choice(lines))
    return b"\n".join(lines) + b"\n"


def number(draw: random.Random, raw: bytes) -> bytes:
    words = [
        "nan",
        "NaN",
        "inf",
        "-inf",
        "-1",
        "-0",
        "1e999",
        "1e18",
        "1e-400",
        "9" * 400,
        "0x1p3",
        "1_0",
        "١",
        "1" * 25,
    ]
    return cells(draw, raw, lambda cell: draw.choice(words) if cell.replace(".", "").isdigit() else cell, 1)


def bad_utf8(draw: random.Random, raw: bytes) -> bytes:
    place = draw.randrange(len(raw))
    bad = draw.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x80", b"\xf8\x88\x80\x80", b"\xc0\x80"])
    return raw[:place] + bad + raw[place + draw.randrange(2) :]


def quotes(draw: random.Random, raw: bytes) -> bytes:
    return cells(draw, raw, lambda cell: draw.choice([f'"{cell}"', f'{cell}"', f'"{cell}', f"'{cell}'", f'"{cell}\n"']))


def empty(draw: random.Random, raw: bytes) -> bytes:
    header = raw.split(b"\n")[0]
    return draw.choice(
        [b"", b"\n", b"\n\n", header, header + b"\n", header + b"\n\n", b" ", b"\t", raw + b"\n", b"\n" + raw]
    )


def byte_order_mark(draw: random.Random, raw: bytes) -> bytes:
    text = raw.decode()
    whole = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
    if draw.random() < 0.5:
        return text.encode(draw.choice(whole))
    place = draw.randrange(len(text))
    return f"{text[:place]}\ufeff{text[place:]}".encode()


def line_ends(draw: random.Random, raw: bytes) -> bytes:
    end = draw.choice([b"\r\n", b"\r", b"\n\r", b"\r\r\n", b"\x0b", b"\x0c", b"\x1e", "\u2028".encode()])
    parts = raw.split(b"\n")
    if draw.random() < 0.5:
        return end.join(parts)
    place = draw.randrange(1, len(parts))
    return b"\n".join(parts[:place]) + end + b"\n".join(parts[place:])


def header_type(draw: random.Random, raw: bytes) -> bytes:
    head, _, body = raw.decode().partition("\n")
    fields = head.split("\t")
    column = draw.randrange(len(fields))
    name = fields[column].partition(":")[0]
    fields[column] = draw.choice([name, name.upper(), name + " ", "", "user_id", "item_id"]) + draw.choice(HEADERS)
    return ("\t".join(fields) + f"\n{body}").encode()


def separator(draw: random.Random, raw: bytes) -> bytes:
    mark = draw.choice([b",", b";", b"|", b" ", b"\t\t", b"    "])
    return raw.replace(b"\t", mark, draw.choice([-1, 1, 3]))


def control(draw: random.Random, raw: bytes) -> bytes:
    place = draw.randrange(len(raw))
    return raw[:place] + bytes([draw.choice([*range(32), 127])]) + raw[place:]


def another_file(draw: random.Random, raw: bytes) -> bytes:
    return draw.choice([INTER, SEARCH, ITEM, "PK\x03\x04", "{}", "<html></html>"]).encode()


def noise(draw: random.Random, raw: bytes) -> bytes:
    place, size = draw.randrange(len(raw)), draw.randrange(1, 40)
    return raw[:place] + draw.randbytes(size) + raw[place + size :]


def two_faults(draw: random.Random, raw: bytes) -> bytes:
    for mutation in draw.sample([wrong_type, repeated_line, quotes, number], 2):
        raw = mutation(draw, raw)
    return raw


KINDS: list[Mutation] = [
    truncated, wrong_type, missing_column, repeated_line, number, bad_utf8, quotes, empty, byte_order_mark, line_ends,
    header_type, separator, control, another_file, noise, two_faults,
]  # fmt: skip


def check(folder: AtomicFolder) -> None:
    """What every loaded dataset fulfils, and that it is written and read again as it is."""
    items, actions, searches = folder.items, folder.interactions, folder.searches
    known = set(items["item_id"])
    assert len(known) == len(items) and items["title"].str.strip().ne("").all()
    for ids in (items["item_id"], actions["item_id"], actions["user_id"], searches["user_id"]):
        assert all(text and not any(letter.isspace() for letter in text) for text in ids)
    assert set(actions["item_id"]) <= known and set(actions["action"]) <= {"click", "purchase"}
    assert {item for cell in searches["results"] for item in cell.split()} <= known
    assert searches["query"].str.strip().ne("").all()
    for times in (actions["timestamp"], searches["timestamp"]):
        assert np.isfinite(times.to_numpy(float)).all() and (times >= 0).all()


def load(path, errors: list[AtomicError]) -> AtomicFolder | None:
    try:
        return read_folder(path)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000
        scan_folder(path, errors.append)
        return None


def run(root, seed: int, per_kind: int) -> dict[str, Counter]:
    draw, counts = random.Random(seed), {}
    files = {"inter": INTER, "search": SEARCH, "item": ITEM}
    for kind in KINDS:
        counts[kind.__name__] = count = Counter()
        for _ in range(per_kind):
            name = draw.choice(list(files))
            path = write_tiny(root)
            raw = kind(draw, files[name].encode())
            (path / f"tiny.{name}").write_bytes(raw)
            errors: list[AtomicError] = []
            try:
                folder = load(path, errors)
                report = validate(path)
                if folder is None:
                    assert errors and report.problems and all("\n" not in error.problem for error in errors)
                    count["refused"] += 1
                    continue
                check(folder)
                write_folder(folder)
                again = read_folder(path)
                for frame in ("interactions", "searches", "items"):
                    pd.testing.assert_frame_equal(getattr(again, frame), getattr(folder, frame))
                count["loaded"] += 1
                clean(folder)
            except UserError as error:  # of clean: no usable user
                assert "no usable user" in str(error)
            except Exception as error:
                pytest.fail(f"{kind.__name__} in {name}: {raw[:2000]!r}: {type(error).__name__}: {error}")
    return counts


def test_a_few(tmp_path):
    counts = run(tmp_path, SEED, 4)
    assert sum(count["refused"] for count in counts.values()) > 30


@pytest.mark.slow
def test_a_thousand(tmp_path):
    counts = run(tmp_path, SEED, PER_KIND)
    print(*(f"{kind}: {dict(count)}" for kind, count in counts.items()), sep="\n")
    assert sum(map(Counter.total, counts.values())) == PER_KIND * len(KINDS) >= 1000
    assert sum(count["refused"] for count in counts.values()) > 600
