"""The mutants of tools/mutant_table/ fit the code of today, and tests notice each of them."""

import re
import subprocess
import sys

import pytest
import yaml

from tools import mutants

TABLE = mutants.read_table()


def run(*options):
    """The tool in a process of its own, because it forks; the last line that it prints."""
    command = [sys.executable, str(mutants.ROOT / "tools/mutants.py"), *options]
    done = subprocess.run(command, cwd=mutants.ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    return done.returncode, done.stdout.splitlines()[-1:] + done.stderr.splitlines()[:1]


def test_rows_are_of_many_modules_and_differ():
    assert len(TABLE) >= 50 and len({mutant.file for mutant in TABLE}) >= 30
    for field in ("note", "line"):
        assert len({(mutant.file, getattr(mutant, field), mutant.broken) for mutant in TABLE}) == len(TABLE)


@pytest.mark.parametrize("mutant", TABLE, ids=lambda mutant: mutant.note)
def test_line_occurs_once_and_its_tests_exist(mutant):
    text = (mutants.ROOT / mutants.PACKAGE / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.line) == 1 and mutant.broken != mutant.line
    compile(text.replace(mutant.line, mutant.broken), mutant.file, "exec")  # a syntax error would say nothing
    for test in mutant.tests:
        file, name = test.split("::")
        assert re.search(rf"^(async )?def {name}\(", (mutants.ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_a_line_that_is_not_there(tmp_path):
    mutants.copy_tree(tmp_path)
    wrong = mutants.Mutant("errors.py", "no such line", "", (), "")
    with pytest.raises(SystemExit, match=r"errors\.py: expected the line once, found 0"):
        mutants.apply(wrong, tmp_path)


def test_tests_run_on_the_package_as_it_is_first():
    one, two, three = (mutants.Mutant(f"{n}.py", "a", "b", ("f::x", f"g::{n}"), "") for n in range(3))
    tasks = mutants.tasks_of([one, two, three])
    assert [task.mutant for task in tasks] == [None, None, one, two, three]
    assert [task.tests for task in tasks[:3]] == [("f::x",), ("g::0", "g::1", "g::2"), ("f::x", "g::0")]


@pytest.mark.slow
def test_every_mutant_is_killed():
    assert run() == (0, [f"{len(TABLE)} of {len(TABLE)} mutants killed"])


def row(**fields):
    file, tests = "retrieval/mixup.py", ["tests/retrieval/test_mixup.py::test_bad_settings"]
    return {
        "file": file,
        "line": "if m < 0 or k < 1",
        "broken": "if k < 1 or m < 0",
        "tests": tests,
        "note": "x",
    } | fields


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({}, (1, ["0 of 1 mutants killed"])),  # it changes nothing
        ({"broken": "if k < 1"}, (0, ["1 of 1 mutants killed"])),
    ],
)
def test_tables_of_one_row(tmp_path, fields, end):
    (tmp_path / "one.yaml").write_text(yaml.safe_dump([row(**fields)]))
    assert run("--table", str(tmp_path)) == end


@pytest.mark.slow
def test_tests_that_pytest_does_not_find_are_an_error(tmp_path):
    (tmp_path / "one.yaml").write_text(yaml.safe_dump([row(tests=["tests/retrieval/test_mixup.py::test_of_nothing"])]))
    status, lines = run("--table", str(tmp_path))
    assert status == 1 and lines[-1].startswith("the package as it is: pytest tests/retrieval/test_mixup.py::test_of")
