"""Several processes write one dataset: whole, or refused in one line; never a mixture, for writers and for readers."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.errors import UserError
from tests.helpers.fakes import write_tiny

ROOT = Path(__file__).parents[2]
# Writes and reads one folder again and again. The datasets of the writers differ in every file: a suffix of each id.
WORKER = """
import random, sys
from dataclasses import replace
from pathlib import Path
from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.atomic.writer import write_folder
from recbole_llmfashion.errors import UserError
source, shared, mark, rounds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
own = read_folder(source)
ids = {item: f"{item}{mark}" for item in own.items["item_id"]}
own = replace(
    own,
    name=shared.name,
    path=shared,
    items=own.items.assign(item_id=own.items["item_id"].map(ids), title=own.items["title"] + mark),
    interactions=own.interactions.assign(item_id=own.interactions["item_id"].map(ids), user_id="u" + mark),
    searches=own.searches.assign(results="", query=mark).iloc[: 0 if mark == "c" else None],
)
draw = random.Random(mark)
for _ in range(rounds):
    try:
        if draw.random() < 0.5:
            write_folder(own, lambda sha: [("README.md", sha)])
            print("written")
        else:
            read = read_folder(shared)
            marks = {*read.items["item_id"].str[-1], *read.interactions["item_id"].str[-1]}
            marks |= {*read.interactions["user_id"].str[-1], *read.searches["query"].str[-1]}
            assert len(marks) == 1 and read.searches.empty == (marks == {"c"}), f"a mixture of {marks}"
            print("read")
    except UserError as error:
        assert "\\n" not in str(error)
        print(" ".join(str(error).split(": ", 1)[-1].split()[:4]))
"""


def run_writers(folder, rounds, writers="abc"):
    """Starts a process per writer; returns how often each outcome came."""
    write_tiny(folder)
    shared = folder / "shared"
    words = [sys.executable, "-c", WORKER, str(folder / "tiny"), str(shared)]
    processes = [
        subprocess.Popen(
            [*words, mark, str(rounds)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for mark in writers
    ]
    outcomes = Counter()
    for process in processes:
        out, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
        outcomes.update(out.splitlines())
    assert sorted(path.name for path in shared.iterdir() if path.name[0] == ".") == []
    read_folder(shared)
    return outcomes


ALLOWED = {
    "written",
    "read",
    "another command is writing",  # a write, or a read in the middle of a change
    "another command changed its",  # a read
    "expected this file in",  # a read before the first write
}


def test_a_few_rounds(tmp_path):
    outcomes = run_writers(tmp_path, 12, "ac")
    assert set(outcomes) <= ALLOWED and outcomes["written"] > 0 and outcomes["read"] > 0


@pytest.mark.slow
@pytest.mark.alone
def test_many_rounds(tmp_path):
    outcomes = run_writers(tmp_path, 600)
    print(dict(outcomes))
    # how often each comes depends on the machine
    assert set(outcomes) <= ALLOWED and outcomes["written"] > 20 and outcomes["read"] > 20
    assert outcomes["another command is writing"] > 0  # they did meet


SIMULATE = "from recbole_llmfashion.cli.main import main; main()"


@pytest.mark.slow
@pytest.mark.alone
def test_two_commands_at_once_thirty_times(tmp_path):
    """simulate, convert and clean into one folder: one of them, whole; the others one line, or after it."""
    draw, ends = random.Random(20), Counter()
    write_tiny(tmp_path)
    (tmp_path / "events.csv").write_text(
        "user,item,time\nu1,a,1700000000\nu1,b,1700000100\nu2,b,1700000100\nu2,a,1700000200\n"
    )
    (tmp_path / "items.csv").write_text("item,title\na,red boots\nb,blue boots\n")
    table = (
        "convert table --interactions events.csv --items items.csv --user user --item item --time time --title title"
    )
    commands = [
        "simulate --category footwear --users 20 --items 300",
        table,
        "clean tiny",
    ]
    for number in range(10):
        chosen = [draw.choice(commands) for _ in range(3)]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", SIMULATE, *words.split(), "--out", f"out{number}"],
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for words in chosen
        ]
        for process in processes:
            lines = [line for line in process.communicate()[1].splitlines() if line.startswith("error")]
            assert process.returncode == (2 if lines else 0) and len(lines) <= 1
            ends[lines[0].split(str(tmp_path))[0][:40] if lines else "whole"] += 1
        try:
            read_folder(tmp_path / f"out{number}")
        except UserError as error:
            pytest.fail(f"{chosen}: {error}")
        assert not [path for path in (tmp_path / f"out{number}").iterdir() if path.name[0] == "."]
    print(dict(ends))
    assert ends["whole"] >= 10
