import json

import numpy as np
import pytest

from recbole_llmfashion.stages import StageStore, sha256_arrays, sha256_texts, stage_seed


def test_built_once_and_found_again(tmp_path):
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


def test_a_stage_that_breaks_leaves_nothing(tmp_path):
    store = StageStore(tmp_path)

    def broken(folder):
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("core", {}, broken)
    assert [path.name for path in tmp_path.iterdir()] == [".locks"]
    assert store.get("core", {}, lambda folder: None).is_dir()


def test_a_folder_without_manifest_is_no_stage(tmp_path):
    store = StageStore(tmp_path)
    half = store.path("core", {})
    half.mkdir(parents=True)
    (half / "junk").write_text("x")
    made = store.get("core", {}, lambda folder: (folder / "whole").write_text("x"))
    assert made == half and not (half / "junk").exists() and (half / "whole").exists()


def test_another_run_was_faster(tmp_path):
    store = StageStore(tmp_path)

    def build(folder):
        (folder / "mine").write_text("x")
        StageStore(tmp_path).path("core", {}).mkdir()
        (store.path("core", {}) / "stage.json").write_text('{"seconds": 1}')
        (store.path("core", {}) / "theirs").write_text("x")

    assert (store.get("core", {}, build) / "theirs").exists()


def test_digests_tell_borders_shapes_and_types():
    assert sha256_texts(["ab", "c"]) != sha256_texts(["a", "bc"])
    assert sha256_arrays(np.zeros((2, 3))) != sha256_arrays(np.zeros((3, 2)))
    assert sha256_arrays(np.zeros(2, np.int32)) != sha256_arrays(np.zeros(2, np.float32))
    assert sha256_arrays(np.arange(6)[::2]) == sha256_arrays(np.array([0, 2, 4]))


def test_seeds_are_fixed_by_seed_and_stage():
    assert stage_seed(1, "title") == stage_seed(1, "title")
    assert len({stage_seed(s, n) for s in (1, 2) for n in ("title", "clip")}) == 4
