"""Breaks one line of the package at a time and runs tests of its area: each mutant must make a test fail.

    python tools/mutants.py                 all mutants of tools/mutant_table/
    python tools/mutants.py --only memory   those whose file or note has the word

Each mutant is applied to a copy of the package, so the working tree does not change. A mutant that no test notices
"survives", and the exit status is 1. The same tests first run on the package as it is, where all must pass: a test that
fails anyway proves nothing. A row whose line is not found once is an error: update the table with the code.

Libraries take longer to import than most of the tests. They are imported once, and each mutant runs in a fork.
"""

import argparse
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tools" / "mutant_table"
PACKAGE = "recbole_llmfashion"
PRELOADED = (f"{PACKAGE}.pipeline.load", f"{PACKAGE}.trainer.recbole_models", "hypothesis")
PYTEST = ("-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--durations=0")
SECONDS = 300  # a mutant that runs for longer is an error


@dataclass(frozen=True)
class Mutant:
    """A broken line, as a row of the table has it.

    Args:
        file: module below the package.
        line: text that occurs once in it.
        broken: its replacement.
        tests: arguments of pytest: the ids of the tests that must notice it.
        note: what is broken.
    """

    file: str
    line: str
    broken: str
    tests: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Task:
    """A run of some tests, on the package as it is where `mutant` is None."""

    mutant: Mutant | None
    tests: tuple[str, ...]


def read_table(folder: Path = TABLE) -> tuple[Mutant, ...]:
    """The mutants of all files of a folder; a file has a list of rows with the fields of Mutant."""
    rows = [row for file in sorted(folder.glob("*.yaml")) for row in yaml.safe_load(file.read_text(encoding="utf-8"))]
    return tuple(Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows)


def apply(mutant: Mutant, tree: Path) -> None:
    """Writes the broken line into a copy of the package.

    Raises:
        SystemExit: the line does not occur exactly once.
    """
    path = tree / PACKAGE / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.line) != 1:
        raise SystemExit(f"{mutant.file}: expected the line once, found {text.count(mutant.line)}: {mutant.line}")
    path.unlink()  # it may be a link to the file of another copy
    path.write_text(text.replace(mutant.line, mutant.broken), encoding="utf-8")


def copy_tree(tree: Path) -> None:
    """A copy of the package and its tests, with links to everything else that tests read.

    Compiled files are copied too; Python compares them with the time and size of their source.
    """
    for name in (PACKAGE, "tests"):
        shutil.copytree(ROOT / name, tree / name)
    for path in ROOT.iterdir():
        if path.name not in (PACKAGE, "tests") and not path.name.startswith("."):
            (tree / path.name).symlink_to(path)


def preload() -> None:
    """Imports the libraries; the modules of the package itself are forgotten, so that a fork imports its copy."""
    for name in PRELOADED:
        import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def tasks_of(mutants: Sequence[Mutant]) -> list[Task]:
    """The tests of each file on the package as it is, then each mutant."""
    by_file: dict[str, dict[str, None]] = {}
    for test in (test for mutant in mutants for test in mutant.tests):
        by_file.setdefault(test.split("::")[0], {})[test] = None
    return [Task(None, tuple(tests)) for tests in by_file.values()] + [Task(mutant, mutant.tests) for mutant in mutants]


def run(tasks: Iterable[Task], jobs: int, folder: Path) -> Iterator[tuple[Task, int, str]]:
    """Runs tasks in forks, `jobs` at a time.

    Args:
        folder: for the copies of the package.

    Yields:
        a task that has ended, the exit status of pytest, and what it printed.
    """
    running: dict[int, tuple[Task, Path]] = {}
    base = folder / "base"  # so that changes of the working tree during the run have no effect
    base.mkdir()
    copy_tree(base)
    try:
        for number, task in enumerate(tasks):
            # an error of the package as it is would else be reported as one of the mutant that ended first
            while len(running) == jobs or (task.mutant and any(not other.mutant for other, _ in running.values())):
                yield _ended(running)
            tree = folder / str(number)
            shutil.copytree(base, tree, symlinks=True, copy_function=os.link)
            if task.mutant is not None:
                apply(task.mutant, tree)
            running[_forked(task.tests, tree)] = task, tree
        while running:
            yield _ended(running)
    finally:
        for process in running:  # after an error
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _forked(tests: Sequence[str], tree: Path) -> int:
    """The process of a fork that runs tests."""
    sys.stdout.flush()
    process = os.fork()
    if not process:
        _run_tests(tests, tree)
    return process


def _run_tests(tests: Sequence[str], tree: Path) -> None:
    """Runs pytest in this fork and ends it."""
    status = -1
    try:
        signal.alarm(SECONDS)
        gc.freeze()  # pytest collects garbage often, and would look at every object of the libraries
        log = os.open(tree / "log.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(tree)
        (tree / "tmp").mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(tree / "tmp")  # the end of a fork runs no clean-up
        os.environ["PYTHONPATH"], os.environ["PYTHONDONTWRITEBYTECODE"] = str(tree), "1"
        sys.path.insert(0, str(tree))
        sys.dont_write_bytecode = True
        status = int(pytest.main([*PYTEST, *tests]))
    finally:
        sys.stdout.flush()
        os._exit(status)


def _ended(running: dict[int, tuple[Task, Path]]) -> tuple[Task, int, str]:
    process, status = os.wait()
    task, tree = running.pop(process)
    printed = (tree / "log.txt").read_text(encoding="utf-8", errors="replace")
    shutil.rmtree(tree, ignore_errors=True)
    return task, os.waitstatus_to_exitcode(status), printed


def check(mutants: Sequence[Mutant], jobs: int) -> int:
    """Runs mutants, prints a line for each, and returns how many were killed.

    Raises:
        SystemExit: a test fails on the package as it is, or pytest could not run.
    """
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        for task, status, printed in run(tasks_of(mutants), jobs, Path(folder)):
            mutant = task.mutant
            if status not in ((0,) if mutant is None else (0, 1)):
                what = "the package as it is" if mutant is None else f"{mutant.file}: {mutant.note}"
                raise SystemExit(f"{what}: pytest {' '.join(task.tests)} ended with {status}:\n{printed[-3000:]}")
            if mutant is not None:
                killed += status
                print(f"{'killed  ' if status else 'SURVIVES'} {mutant.file}: {mutant.note}", flush=True)
    return killed


def main() -> int:
    """Runs the mutants and returns 1 if one survives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="word of the file or the note")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time (default: the cores)")
    parser.add_argument("--table", type=Path, default=TABLE, help="folder with the rows (default: tools/mutant_table)")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    table = read_table(options.table)
    chosen = [mutant for mutant in table if options.only in mutant.file or options.only in mutant.note]
    preload()
    killed = check(chosen, max(1, options.jobs))
    print(f"{killed} of {len(chosen)} mutants killed")
    return int(killed < len(chosen) or not chosen)


if __name__ == "__main__":
    sys.exit(main())
