"""SIGINT, SIGTERM and SIGKILL to fresh processes: one line, status 2, nothing half-written stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.fakes import write_tiny

ROOT = Path(__file__).parents[2]
LOADING = "loading PyTorch and RecBole"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `main`, slowed down where a test wants a signal: in an import, and in the middle of the work.
SLOW_IMPORT = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("here", flush=True)
            time.sleep(600)
sys.meta_path.insert(0, Slow())
"""
SLOW_WORK = """
import time
from {} import {} as place
real = place.{}
def slow(*words, **options):
    print("here", flush=True)
    time.sleep(600)
place.{} = slow
"""
MAIN = "import sys\nfrom recbole_llmfashion.cli.main import main\nmain()"


def start(prelude, *words, cwd):
    """A process that prints `here` where it waits for its signal.

    It does not inherit ignored signals: SIGINT is ignored behind a `&`, SIGHUP under nohup.
    """
    code = f"{prelude}\n{MAIN}"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        restore_signals=True,
        preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in SIGNALS],
    )


def stopped(process, number):
    """Status and the lines on stderr after a signal, without those that tell the progress."""
    assert process.stdout.readline() == "here\n", process.stderr.read()
    process.send_signal(number)
    error = process.communicate(timeout=900)[1]
    return process.returncode, [
        line for line in error.splitlines() if line.strip() and "%|" not in line and line != LOADING
    ]


def slow_work(module, name):
    package, _, place = f"recbole_llmfashion.{module}".rpartition(".")
    return SLOW_WORK.format(package, place, name, name)


LINE = "error: stopped by {}; finished stages are kept, the same command continues after the last one"


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals")
    write_tiny(folder)
    return folder


CLEAN = ["clean", "tiny", "--out", "cleaned"]
STOPS = [
    # (where it waits, command, signal, name in the line)
    (SLOW_IMPORT, ["run", "--model=CORE", "--dataset=tiny", "--data_path=."], signal.SIGINT, "Ctrl-C"),
    (SLOW_IMPORT, ["study", "compare", "--dataset=tiny", "--data_path=.", "--models=CORE"], signal.SIGHUP, "SIGHUP"),
    (slow_work("dataset_tools.clean", "clean"), CLEAN, signal.SIGINT, "Ctrl-C"),
    (slow_work("files.changes", "_record"), CLEAN, signal.SIGTERM, "SIGTERM"),
]


@pytest.mark.parametrize(("prelude", "words", "number", "name"), STOPS)
def test_a_signal_is_one_line_and_nothing_stays(shops, prelude, words, number, name):
    before = {path: path.read_bytes() for path in shops.rglob("*") if path.is_file()}
    status, lines = stopped(start(prelude, *words, cwd=shops), number)
    assert (status, lines) == (2, [LINE.format(name)])
    assert {path: path.read_bytes() for path in shops.rglob("*") if path.is_file()} == before
    assert [path.name for path in shops.iterdir()] == ["tiny"]


def test_a_command_says_that_it_loads_before_it_does(shops):
    process = start(SLOW_IMPORT, *STOPS[0][1], cwd=shops)
    assert process.stdout.readline() == "here\n"
    process.kill()
    assert process.communicate()[1].splitlines() == [LOADING]


def test_a_second_signal_ends_the_process_at_once(shops):
    """Also while the first is cleaning up; one that comes with the first is part of it."""
    prelude = slow_work("dataset_tools.clean", "clean") + (
        "from recbole_llmfashion.cli import terminal\n"
        "terminal._TOGETHER = 0.0\n"
        "import shutil, contextlib, recbole_llmfashion.files.folder_lock as a\n"
        "def never(lock):\n    print('cleaning', flush=True)\n    time.sleep(600)\n"
        "a.FolderLock.release = never\n"
    )
    process = start(prelude, "clean", "tiny", "--out", "cleaned", cwd=shops)
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cleaning\n"
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=900)[1]
    assert process.returncode == 2 and error.splitlines()[-1] == LINE.format("Ctrl-C")


def test_the_scripts_handle_signals_before_they_import(shops):
    script = ROOT / "run_recbole_llm.py"
    prelude = (
        f"{SLOW_IMPORT}\nimport runpy\nsys.argv[0] = {str(script)!r}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    )
    process = start(prelude, "--model=CORE", "--dataset=tiny", "--data_path=.", cwd=shops)
    assert stopped(process, signal.SIGINT) == (2, [LINE.format("Ctrl-C")])


def test_a_signal_after_the_last_line_changes_nothing(shops):
    prelude = "import atexit, time\natexit.register(lambda: (print('here', flush=True), time.sleep(600)))"
    process = start(prelude, "validate", "tiny", cwd=shops)
    assert process.stdout.readline().startswith("users: 3")
    while (line := process.stdout.readline()) != "here\n":
        assert line
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=900) == 0 and process.communicate()[1].count("error") == 0


def test_ignored_signals_stay_ignored(shops):
    """As nohup ignores SIGHUP."""
    prelude = (
        "import signal, os\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from recbole_llmfashion.dataset_tools import clean as place\nreal = place.clean\n"
        "def hung_up(folder):\n    os.kill(os.getpid(), signal.SIGHUP)\n    return real(folder)\nplace.clean = hung_up"
    )
    process = start(prelude, "clean", "tiny", "--out", "nohup", cwd=shops)
    assert "kept: 3 users" in process.communicate(timeout=900)[0] and process.returncode == 0
    for path in (shops / "nohup").iterdir():
        path.unlink()
    (shops / "nohup").rmdir()


@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_a_kill_at_some_moment_leaves_a_whole_dataset_or_none(shops, tmp_path, seconds):
    """SIGKILL; the next command into the same folder ends as if nothing had been."""
    command = [sys.executable, "-c", MAIN, "clean", str(shops / "tiny"), "--out", "tiny"]
    places = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **places)
    time.sleep(seconds)
    process.kill()
    process.wait()
    assert subprocess.run(command, stdout=subprocess.DEVNULL, **places).returncode == 0
    left = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
    assert left.keys() == {"tiny.inter", "tiny.search", "tiny.item"}
    assert left["tiny.item"] == (shops / "tiny/tiny.item").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
