"""Files and folders that are written whole or not at all: kills, full disks, two writers, readers, modes."""

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout
from safetensors.numpy import save_file

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.changes import check_writable, own_folder, reading, replace_files, write_file
from recbole_llmfashion.files.folder_lock import FolderLock
from recbole_llmfashion.files.folders import publish_folder, temporary_folder
from recbole_llmfashion.files.write_errors import disk_full, full_disk_error, naming
from tests.helpers.disks import small_disk

ROOT = Path(__file__).parents[2]
OLD, NEW = {"a": "old a", "b": "old b", "gone": "x"}, {"a": "new a", "b": "new b", "c": "new c"}
# Ends at the given step of the change: each rename and each removal of a file is a step.
KILLED = """
import os, sys
from pathlib import Path
from recbole_llmfashion.files import replace_files
steps = int(sys.argv[2])
def ending(work):
    def step(path, *words, **options):
        global steps
        steps -= 1
        if steps < 0:
            os._exit(9)
        return work(path, *words, **options)
    return step
for name in ("replace", "rename", "unlink"):
    setattr(Path, name, ending(getattr(Path, name)))
replace_files(Path(sys.argv[1]), [("a", "new a"), ("b", "new b"), ("c", "new c")], ["gone"])
"""
HOLDER = """
import sys, time
from pathlib import Path
from recbole_llmfashion.files import own_folder, temporary_folder
with {}(Path(sys.argv[1])) as part:
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(kind, path):
    """Another process that holds a folder."""
    command = [sys.executable, "-c", HOLDER.format(kind), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def put(folder, files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def files(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def refused(message, work, *words):
    with pytest.raises(UserError, match=message) as error:
        work(*words)
    assert "\n" not in str(error.value)


def test_write_file_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_file(path, "old")
    write_file(path, "new\né")
    assert path.read_bytes() == "new\né".encode() and list(path.parent.iterdir()) == [path]
    write_file(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    longest = tmp_path / ("x" * 255)
    write_file(longest, "x")
    assert longest.read_text() == "x"


def test_replace_files_replaces_none_when_one_cannot_be_made(tmp_path):
    put(tmp_path, OLD)

    def contents():
        yield "a", "new a"
        raise ValueError("no b")

    with pytest.raises(ValueError, match="no b"):
        replace_files(tmp_path, contents(), ["gone"])
    assert files(tmp_path) == OLD
    (tmp_path / "c").mkdir()
    refused("--out: .*c is a folder", replace_files, tmp_path, NEW.items(), ["gone"], "--out")
    (tmp_path / "c").rmdir()
    assert files(tmp_path) == OLD


@pytest.mark.parametrize("call", range(1, 6))
def test_a_full_disk_at_each_write_leaves_all_old_or_all_new(tmp_path, monkeypatch, call):
    """Calls of fsync: three files, the record, the folder."""
    put(tmp_path, OLD)
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(f"--out: disk full at {tmp_path}: free space", replace_files, tmp_path, NEW.items(), ["gone"], "--out")
    monkeypatch.undo()
    assert files(tmp_path) == OLD


def test_a_kill_at_each_step_of_a_change(tmp_path):
    """The record's rename, three renames, one removal, the record's removal: six steps."""
    outcomes = []
    for steps in range(7):
        folder = put(tmp_path / str(steps), OLD)
        killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(steps)], cwd=ROOT)
        assert killed.returncode == (9 if steps < 6 else 0)
        with reading(folder, ["a", "b"]):
            seen = files(folder)
        outcomes.append("new" if seen["a"] == "new a" else "old")
        assert {name: text for name, text in seen.items() if name[0] != "."} == (NEW if outcomes[-1] == "new" else OLD)
        with own_folder(folder):
            assert [name for name in files(folder) if name[0] == "."] == []
    assert outcomes == ["old", *["new"] * 6]


def test_ctrl_c_between_two_renames_waits_for_the_last(tmp_path, monkeypatch):
    put(tmp_path, OLD)
    real, calls = Path.replace, []

    def stopped_once(self, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", stopped_once)
    with pytest.raises(KeyboardInterrupt):
        replace_files(tmp_path, NEW.items(), ["gone"])
    assert files(tmp_path) == NEW


def test_a_reader_refuses_what_changes_meanwhile(tmp_path):
    put(tmp_path, OLD)

    def read(change):
        with reading(tmp_path, ["a", "b"]):
            change()

    read(lambda: write_file(tmp_path / "other", "x"))
    refused("changed its files while they were read", read, lambda: write_file(tmp_path / "b", "old b"))
    refused("changed its files while they were read", read, lambda: [write_file(tmp_path / "b", "1"), 1 / 0])
    refused("changed its files", read, lambda: put(tmp_path, {".llmf-00000000.change": "{}"}))
    refused("not a record of this package", read, lambda: None)


def test_a_change_that_another_process_is_making_is_not_read(tmp_path):
    with holder("own_folder", tmp_path / "data"):
        put(tmp_path / "data", {".llmf-00000000.change": "{}"})
        refused("another command is writing to .*data", reading(tmp_path / "data", ["a"]).__enter__)


def test_one_process_owns_a_folder(tmp_path):
    with holder("own_folder", tmp_path / "data") as process:
        refused("^--out: another command is writing to .*data; wait", own_folder(tmp_path / "data", "--out").__enter__)
        refused("another command", write_file, tmp_path / "data/a", "x")
        process.send_signal(signal.SIGKILL)
        process.wait()
        write_file(tmp_path / "data/a", "x")
    assert files(tmp_path / "data") == {"a": "x"}


def test_one_thread_owns_a_folder_and_may_enter_it_again(tmp_path):
    seen = []

    def other():
        try:
            write_file(tmp_path / "a", "x")
        except UserError as error:
            seen.append(str(error))

    with own_folder(tmp_path):
        write_file(tmp_path / "b", "y")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(seen) == 1 and "another command is writing" in seen[0] and files(tmp_path) == {"b": "y"}


def test_a_disk_that_cannot_lock_a_folder(tmp_path, monkeypatch):
    """As NFS: a file in the folder is locked instead."""
    real = fcntl.flock

    def no_folders(descriptor, operation):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EBADF, "Bad file descriptor")
        return real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", no_folders)
    with own_folder(tmp_path / "nfs"):
        write_file(tmp_path / "nfs/a", "x")
        lock = FileLock(tmp_path / "nfs/.llmf.lock")
        with pytest.raises(Timeout):
            lock.acquire(timeout=0)
    with lock:
        refused("another command is writing to .*nfs", own_folder(tmp_path / "nfs").__enter__)
    with temporary_folder(tmp_path / "out") as part:
        (part / "marker").write_text("x")
        with temporary_folder(tmp_path / "other"):
            assert part.is_dir()  # nobody can tell whether it is held
        publish_folder(part, tmp_path / "out", "marker")
    assert files(tmp_path / "out") == {"marker": "x"}


def test_a_folder_in_which_nothing_was_put_is_removed_again(tmp_path):
    with pytest.raises(ZeroDivisionError), own_folder(tmp_path / "a/b"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with own_folder(tmp_path / "a/b"):
        (tmp_path / "a/file").write_text("")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_what_a_killed_writer_left_is_removed(tmp_path):
    put(tmp_path, {".a.llmf-0123abcd.part": "half", ".a.part": "mine"})
    with own_folder(tmp_path):
        assert files(tmp_path) == {".a.part": "mine"}


def test_temporary_folders_of_killed_processes_are_removed_and_those_of_others_kept(tmp_path):
    with holder("temporary_folder", tmp_path / "out") as process:
        with temporary_folder(tmp_path / "other"):
            assert len(list(tmp_path.iterdir())) == 2
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(list(tmp_path.iterdir())) == 1
        with temporary_folder(tmp_path / "third"):
            assert [path.name.split(".")[1] for path in tmp_path.iterdir()] == ["third"]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_before_the_callers_first_line_leaves_no_folder(tmp_path, monkeypatch):
    """Ctrl-C may arrive between the making of the folder and its lock."""

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(FolderLock, "take", interrupted)
    with pytest.raises(KeyboardInterrupt), temporary_folder(tmp_path / "out"):
        raise AssertionError("not reached")
    assert list(tmp_path.iterdir()) == []


def test_publish_folder_replaces_an_incomplete_folder_and_keeps_a_complete_one(tmp_path):
    for name, marker in (("half", False), ("complete", True), ("missing", None)):
        part, final = put(tmp_path / f"{name}.part", {"marker": "new"}), tmp_path / name
        if marker is not None:
            put(final, {"marker" if marker else "junk": "old"})
        publish_folder(part, final, "marker")
        assert files(final) == {"marker": "old" if marker else "new"}


@pytest.mark.parametrize(("umask", "folders", "plain"), [(0o022, 0o755, 0o644), (0o027, 0o750, 0o640)])
def test_modes_follow_the_umask(tmp_path, umask, folders, plain):
    before = os.umask(umask)
    try:
        with temporary_folder(tmp_path / "run") as part:
            (part / "title").mkdir()
            save_file({"a": np.zeros(1)}, part / "title/weights.safetensors")
            (part / "marker").write_text("x")
            publish_folder(part, tmp_path / "run", "marker")
        write_file(tmp_path / "out/results.json", "{}")
    finally:
        os.umask(before)
    paths = list(tmp_path.rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {folders} and len(paths) == 6
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {plain}


# What the libraries raise where the disk is full.
FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EFBIG, "File too large"),
    OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space left on device"),  # pyarrow
    Exception("No space left on device (os error 28)"),  # tokenizers
    RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),  # safetensors
    RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 576 vs 534"),  # torch.save
    RuntimeError("Error: 'ret == (size * 4)' failed: write error in a.faiss (No space left on device)"),  # faiss
]


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_is_known_whatever_a_library_raises(error, tmp_path):
    def write():
        with naming(tmp_path / "out", "--out"):
            try:
                raise error
            except Exception as first:
                raise ValueError("cannot save") from first

    assert disk_full(error) and not disk_full(ValueError("a key")) and not disk_full(OSError(errno.EACCES, "no"))
    refused(f"^--out: disk full at {re.escape(str(tmp_path))}/out( \\(a limit of the file size\\))?: free space", write)


def test_the_full_disk_of_temporary_files_is_named(monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/temporary")
    error = OSError(errno.ENOSPC, "No space left on device", "/data/source", None, "/temporary/x")
    assert str(full_disk_error("/saved", error)).startswith("TMPDIR: disk full at /temporary/x: ")
    assert str(full_disk_error("/temporary/out", error, "--out")).startswith("--out: disk full at /temporary/out: ")
    error = OSError(errno.ENOSPC, "No space left on device", "/data/source", None, "/saved/x")
    assert str(full_disk_error("/saved", error)).startswith("disk full at /saved: ")


@pytest.mark.parametrize("work", [check_writable, lambda *words: own_folder(*words).__enter__()])
def test_wrong_places_are_one_line(tmp_path, work):
    (tmp_path / "file").write_text("")
    refused("^saved: .*below: cannot write \\(Not a directory\\); choose", work, tmp_path / "file/below", "saved")
    refused("^saved: .*file", work, tmp_path / "file", "saved")
    refused("^saved: .*xxx: cannot write \\(File name too long\\)", work, tmp_path / ("x" * 256), "saved")
    refused("^saved: .*xxx/a: cannot write \\(File name too long\\)", work, tmp_path / ("x" * 256) / "a", "saved")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_check_writable_makes_nothing(tmp_path):
    check_writable(tmp_path / "a/b/c", "saved")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_disk(tmp_path):
    with small_disk(tmp_path / "disk", read_only=True) as disk:
        refused(
            "^saved: .*a/b: cannot write \\(Read-only file system\\); choose", check_writable, disk / "a/b", "saved"
        )
        refused("^--out: .*: cannot write \\(Read-only", write_file, disk / "a", "x", "--out")


def test_a_small_disk(tmp_path):
    """The old files stay; what did not fit is gone."""
    with small_disk(tmp_path / "disk", kilobytes=64) as disk:
        replace_files(disk, [("a", "old a"), ("b", "old b")])
        refused(
            "^--out: disk full at .*disk: free space",
            replace_files,
            disk,
            [("a", "1"), ("b", b"x" * 10**5)],
            [],
            "--out",
        )
        assert files(disk) == {"a": "old a", "b": "old b"}
        (disk / "filler").write_bytes(b"x" * (64 - 8) * 1024)
        refused("^saved: disk full at .*stages: free space", check_writable, disk / "stages", "saved")
