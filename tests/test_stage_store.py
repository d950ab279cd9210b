import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stage_store import (
    StageStore,
    read_stage,
    sha256_arrays,
    sha256_texts,
    stage_seed,
)


def test_get_builds_a_stage_once(tmp_path):
    calls, seen = [], []

    def build(folder):
        calls.append(folder)
        (folder / "x.json").write_text("1")

    store = StageStore(tmp_path / "stages", lambda *args: seen.append(args))
    first = store.get("title", {"a": 1, "b": [1, 2]}, build)
    second = store.get("title", {"b": [1, 2], "a": 1}, build)
    other = store.get("title", {"a": 2, "b": [1, 2]}, build)
    assert first == second != other and len(calls) == 2
    assert (first / "x.json").read_text() == "1" and first.name.startswith("title-")
    assert json.loads((first / "stage.json").read_text())["inputs"] == {"a": 1, "b": [1, 2]}
    assert [(name, reused) for name, _, reused in seen] == [("title", False), ("title", True), ("title", False)]


def test_a_stage_that_raises_leaves_nothing(tmp_path):
    store = StageStore(tmp_path)

    def broken(folder):
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("core", {}, broken)
    assert [path.name for path in tmp_path.iterdir()] == [".locks"]
    assert store.get("core", {}, lambda folder: None).is_dir()


def test_a_folder_without_manifest_is_replaced(tmp_path):
    store = StageStore(tmp_path)
    folder = store.path("core", {})
    folder.mkdir(parents=True)
    (folder / "junk").write_text("x")
    stage = store.get("core", {}, lambda folder: (folder / "whole").write_text("x"))
    assert stage == folder and not (folder / "junk").exists() and (folder / "whole").exists()


def test_another_process_was_faster(tmp_path):
    store = StageStore(tmp_path)

    def build(folder):
        (folder / "mine").write_text("x")
        StageStore(tmp_path).path("core", {}).mkdir()
        (store.path("core", {}) / "stage.json").write_text('{"seconds": 1}')
        (store.path("core", {}) / "theirs").write_text("x")

    assert (store.get("core", {}, build) / "theirs").exists()


def test_concurrent_callers_build_a_stage_once(tmp_path):
    built, reused, barrier = [], [], threading.Barrier(4)

    def build(folder):
        built.append(folder)
        time.sleep(0.2)
        (folder / "x").write_text("whole")

    def want():
        store = StageStore(tmp_path, lambda name, seconds, again: reused.append(again))
        barrier.wait()
        assert (store.get("title", {}, build) / "x").read_text() == "whole"

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1 and sorted(reused) == [False, True, True, True]


def test_a_killed_process_releases_its_lock(tmp_path):
    """A process is killed while it builds; the next one builds at once, and the incomplete stage is removed."""
    script = (
        "import sys, time; from pathlib import Path; from recbole_llmfashion.stage_store import StageStore\n"
        "def build(folder): (folder / 'half').write_text('x'); print('building', flush=True); time.sleep(600)\n"
        "StageStore(Path(sys.argv[1])).get('title', {}, build)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    assert holder.stdout.readline() == b"building\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    stage = StageStore(tmp_path).get("title", {}, lambda folder: (folder / "whole").write_text("x"))
    assert sorted(path.name for path in stage.iterdir()) == ["stage.json", "whole"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".locks", stage.name]


def test_has(tmp_path):
    store = StageStore(tmp_path)
    assert not store.has("title", {"a": 1}) and list(tmp_path.iterdir()) == []
    store.get("title", {"a": 1}, lambda folder: None)
    assert store.has("title", {"a": 1}) and not store.has("title", {"a": 2})


def test_digests_depend_on_lengths_shapes_and_types():
    assert sha256_texts(["ab", "c"]) != sha256_texts(["a", "bc"])
    assert sha256_arrays(np.zeros((2, 3))) != sha256_arrays(np.zeros((3, 2)))
    assert sha256_arrays(np.zeros(2, np.int32)) != sha256_arrays(np.zeros(2, np.float32))
    assert sha256_arrays(np.arange(6)[::2]) == sha256_arrays(np.array([0, 2, 4]))


def test_names_of_stages_do_not_change():
    assert stage_seed(2020, "title") == 1606859893
    assert StageStore(Path("stages")).path("title", {"a": 1, "b": [1.5, None]}).name == "title-f825284181ff6cc1"
    assert sha256_texts(["ab", "c"])[:16] == "43ee655579de01ca"
    assert sha256_arrays(np.arange(3, dtype=np.int64), np.ones((1, 2), np.float32))[:16] == "02e2b634480f7ed3"


def test_stage_seed_depends_on_seed_and_stage():
    assert len({stage_seed(seed, name) for seed in (1, 2) for name in ("title", "clip")}) == 4


def build_two(folder):
    (folder / "a.json").write_text('{"a": 1}')
    (folder / "deep").mkdir()
    (folder / "deep/weights").write_bytes(bytes(range(256)))


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGES = {  # what happens to a finished stage, and the reason that is logged
    "flipped": (lambda at: (at / "deep/weights").write_bytes(bytes(255) + b"\xfe"), "deep/weights was changed"),
    "cut": (lambda at: os.truncate(at / "deep/weights", 100), "deep/weights was changed"),
    "emptied": (lambda at: os.truncate(at / "a.json", 0), "a.json was changed"),
    "longer": (lambda at: (at / "a.json").write_text('{"a": 1}\n'), "a.json was changed"),
    "removed": (lambda at: (at / "a.json").unlink(), "a.json is missing"),
    "a folder": (lambda at: ((at / "a.json").unlink(), (at / "a.json").mkdir()), "a.json is missing"),
    "part removed": (lambda at: shutil.rmtree(at / "deep"), "deep/weights is missing"),
    "stage.json empty": (lambda at: os.truncate(at / "stage.json", 0), "stage.json is damaged"),
    "stage.json cut": (lambda at: os.truncate(at / "stage.json", 60), "stage.json is damaged"),
    "stage.json garbled": (lambda at: (at / "stage.json").write_bytes(b"\xff\xfe\x00"), "stage.json is damaged"),
    "stage.json deep": (lambda at: (at / "stage.json").write_text("[" * 10**5), "stage.json is damaged"),
    "a list": (lambda at: (at / "stage.json").write_text("[]"), "stage.json is damaged"),
    "no seconds": (lambda at: (at / "stage.json").write_text("{}"), "stage.json is damaged"),
    "seconds a text": (lambda at: edit(at / "stage.json", seconds="x"), "stage.json is damaged"),
    "seconds nan": (lambda at: edit(at / "stage.json", seconds=float("nan")), "stage.json is damaged"),
    "files a list": (lambda at: edit(at / "stage.json", files=["a.json"]), "stage.json is damaged"),
    "a number as digest": (lambda at: edit(at / "stage.json", files={"a.json": 1}), "stage.json is damaged"),
    "a file outside": (lambda at: edit(at / "stage.json", files={"../x": "0"}), "stage.json is damaged"),
    "other inputs": (lambda at: edit(at / "stage.json", inputs={"a": 2}), "stage.json is that of another stage"),
    "another stage": (lambda at: edit(at / "stage.json", stage="clip"), "stage.json is that of another stage"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_stage_is_built_again(tmp_path, caplog, case):
    damage, reason = DAMAGES[case]
    store, inputs = StageStore(tmp_path), {"a": 1, "b": (1, 2.5), "c": None}
    stage = store.get("title", inputs, build_two)
    assert store.has("title", inputs) and caplog.text == ""
    damage(stage)
    assert not StageStore(tmp_path).has("title", inputs)
    assert StageStore(tmp_path).get("title", inputs, build_two) == stage
    assert (stage / "deep/weights").read_bytes() == bytes(range(256)) and store.has("title", inputs)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"stage {stage}: {reason}") and line.endswith("; it is made again") and "\n" not in line


def test_a_stage_of_an_earlier_version_is_found(tmp_path):
    """It has no digests."""
    store = StageStore(tmp_path)
    stage = store.path("title", {"a": (1, 2)})
    stage.mkdir(parents=True)
    (stage / "stage.json").write_text('{"stage": "title", "format": 1, "seconds": 2, "inputs": {"a": [1, 2]}}')
    (stage / "old").write_text("x")
    assert store.has("title", {"a": (1, 2)})
    assert store.get("title", {"a": (1, 2)}, lambda folder: pytest.fail("built again")) == stage


def test_files_beside_those_of_a_stage_do_not_count(tmp_path):
    stage = StageStore(tmp_path).get("title", {}, build_two)
    (stage / "note.txt").write_text("mine")
    assert StageStore(tmp_path).has("title", {}) and not any("note" in name for name in read_stage(stage)["files"])


def test_a_stage_that_cannot_be_read_is_kept(tmp_path, monkeypatch):
    store = StageStore(tmp_path)
    stage = store.get("title", {}, build_two)

    refused = ""

    def refuse(path, *arguments, **options):
        if path.name == refused:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    opened = Path.open
    monkeypatch.setattr(Path, "open", refuse)
    for name in ("weights", "stage.json"):
        refused = name
        with pytest.raises(UserError, match=r"cannot be read \(Permission denied\); check its permissions") as error:
            store.get("title", {}, lambda folder: pytest.fail("built again"))
        assert str(stage) in str(error.value) and "\n" not in str(error.value)
    refused = ""
    assert store.has("title", {})


def test_a_damaged_stage_that_cannot_be_removed(tmp_path, monkeypatch):
    store = StageStore(tmp_path)
    stage = store.get("title", {}, build_two)
    (stage / "a.json").unlink()

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(
        UserError, match=r"a\.json is missing, and it cannot be removed \(Permission denied\); remove it"
    ):
        store.get("title", {}, lambda folder: pytest.fail("built again"))


def test_a_stage_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    renamed = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, to: (done.append("rename"), renamed(path, to)))
    stage = StageStore(tmp_path).get("title", {}, build_two)
    names = [Path(path).name for path in done]
    before = names[: names.index("rename")]
    part = next(name for name in before if name.startswith(f".{stage.name}."))
    assert {"a.json", "weights", "deep", "stage.json", part} == set(before)
    assert names[-1] == tmp_path.name


def test_progress_of_a_running_stage_is_removed_when_it_is_complete(tmp_path):
    store = StageStore(tmp_path)
    running = store.running("adapter", {"a": 1})
    assert running.parent == tmp_path / ".running" and running != store.running("adapter", {"a": 2})
    calls = []

    def build(folder):
        running.mkdir(parents=True, exist_ok=True)
        (running / f"step-{len(calls)}").write_text("x")
        calls.append(len(list(running.iterdir())))
        if len(calls) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("adapter", {"a": 1}, build)
    assert (running / "step-0").exists()
    store.get("adapter", {"a": 1}, build)
    assert calls == [1, 2] and not running.exists()
