"""Tasks in processes of their own, while a block runs."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path

import psutil
import pytest
import torch

from recbole_llmfashion.quick_start.background import background
from recbole_llmfashion.quick_start.peak_memory import PeakMemory
from tests.helpers.tasks import Fail, Wait, Write

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds


def until(condition):
    """Waits for a condition."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def threads():
    """This process with four threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_tasks_run_beside_the_block_with_their_share_of_the_threads(tmp_path, threads, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    files = [tmp_path / name for name in "abc"]
    with background([Write(file) for file in files], 2):
        assert torch.get_num_threads() == 2
        until(lambda: all(file.exists() for file in files))
    texts = [file.read_text().split() for file in files]
    assert len({process for process, _ in texts}) == 1 and texts[0][0] != str(os.getpid())
    assert {threads for _, threads in texts} == {"2"}
    assert torch.get_num_threads() == 4 and os.environ["OMP_NUM_THREADS"] == "7"
    assert capsys.readouterr().err == "2 processes share the rows, 2 thread(s) each (n_jobs)\n"


def test_one_process_runs_no_task(tmp_path, threads, capsys):
    for tasks, processes in (([Write(tmp_path / "a")], 1), ([], 2)):
        with background(tasks, processes):
            assert torch.get_num_threads() == 4
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err == ""


def test_two_processes_share_the_tasks_and_there_are_no_idle_ones(tmp_path, capsys):
    files = [tmp_path / name for name in "ab"]
    with background([Wait(file) for file in files], 9):
        until(lambda: all(file.exists() and file.read_text() for file in files))  # neither task ends: two took them
        assert len({file.read_text() for file in files}) == 2
    assert "3 processes share the rows" in capsys.readouterr().err


def test_the_end_of_the_block_stops_a_task_which_cleans_up(tmp_path):
    with background([Wait(tmp_path / "a")], 2):
        until(lambda: (tmp_path / "a").exists() and (tmp_path / "a").read_text())
        child = int((tmp_path / "a").read_text())
    assert not (tmp_path / "a").exists() and not psutil.pid_exists(child)


def test_an_error_of_the_block_stops_the_tasks(tmp_path):
    with pytest.raises(KeyboardInterrupt), background([Wait(tmp_path / "a")], 2):
        until(lambda: (tmp_path / "a").exists())
        raise KeyboardInterrupt
    assert not (tmp_path / "a").exists()


def test_a_task_that_fails_is_left_to_the_block(tmp_path, capsys):
    with background([Fail(), Write(tmp_path / "a")], 2):
        until((tmp_path / "a").exists)
    assert "status" not in capsys.readouterr().err


def test_a_process_that_was_killed_is_named(tmp_path, capsys):
    with background([Fail(status=3)], 2):
        until(lambda: not active_children())
    assert "a background process ended with status 3; this process did its work" in capsys.readouterr().err


def test_memory_of_background_processes_counts(tmp_path):
    with PeakMemory() as alone:
        pass
    with background([Wait(tmp_path / "a", megabytes=300)], 2), PeakMemory() as both:
        until(lambda: (tmp_path / "a").exists())
    assert both.megabytes > alone.megabytes + 250


SCRIPT = """
import os, sys, time
from pathlib import Path
from recbole_llmfashion.quick_start.background import background
from tests.helpers.tasks import Wait
with background([Wait(Path(sys.argv[1]))], 2):
    time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_killed_command_leaves_no_process(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "a")]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    until(lambda: (tmp_path / "a").exists() and (tmp_path / "a").read_text())
    child = int((tmp_path / "a").read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    try:
        until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    finally:  # where the test fails, as for a mutant
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
