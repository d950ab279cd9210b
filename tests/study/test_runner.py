"""Caching, seeds and failures of the rows of a study."""

import errno
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.engine import engine_digest
from recbole_llmfashion.quick_start.row_tasks import RowTask
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import TableRow
from recbole_llmfashion.study.runner import Entry, Runner, StudyRowTask
from tests.helpers.fakes import SMALL
from tests.helpers.study import request_for


def test_rows_are_shared_by_studies(shop, runs):
    entry = Entry("SASRec", "SASRec")
    first = Runner(request_for(shop)).run([entry])["SASRec"][0]
    again = Runner(request_for(shop, study="cold-start")).run([Entry("another name", "SASRec")])["another name"][0]
    assert len(runs) == 1
    assert first.result.metrics == again.result.metrics
    pd.testing.assert_frame_equal(
        first.result.ranks.drop(columns="top"), again.result.ranks.drop(columns="top"), check_dtype=False
    )
    assert [list(top) for top in first.result.ranks["top"]] == [list(top) for top in again.result.ranks["top"]]


@pytest.mark.parametrize(
    "other",
    [
        Entry("x", "SASRec", {"learning_rate": 0.5}),
        Entry("x", "SASRec", {"train_share": 0.5}),
        Entry("x", "SASRec", {"topk": [3, 5]}),
        Entry("x", "GRU4Rec"),
    ],
)
def test_other_keys_or_model_are_another_row(shop, runs, other):
    runner = Runner(request_for(shop))
    runner.run([Entry("SASRec", "SASRec"), other])
    assert len(runs) == 2


def test_keys_of_core_belong_to_rows_of_llmfashionrec(shop, runs):
    runner = Runner(request_for(shop))
    runner.run([Entry("a", "LLMFashionRec"), Entry("b", "LLMFashionRec", {"sess_dropout": 0.5})])
    assert len(runs) == 2


def test_runtime_keys_do_not_change_a_row(shop, runs):
    runner = Runner(request_for(shop))
    runner.run([Entry("a", "SASRec"), Entry("b", "SASRec", {"show_progress": True, "state": "ERROR"})])
    assert len(runs) == 1


def test_processes_of_the_loaders_are_another_row(shop, runs):
    """They draw negatives and masks of their own; a row without them keeps its name."""
    runner = Runner(request_for(shop))
    rows = [Entry("a", "FPMC"), Entry("b", "FPMC", {"worker": 0}), Entry("c", "FPMC", {"worker": 2})]
    runner.run(rows)
    assert len(runs) == 2
    values = [runner._key_values(replace(row, dataset="tiny"), 2020) for row in rows]
    assert values[0] == values[1] and values[2] == {**values[0], "worker": 2}


def test_a_folder_or_file_counts_by_its_content(shop, runs, tmp_path):
    """Another model in the same folder is another row; the same model in another folder is not."""
    backbone, clip = tmp_path / "falcon", tmp_path / "clip.pt"
    shutil.copytree(SMALL["llm_name_or_path"], backbone)
    clip.write_bytes(b"weights")

    def row(**keys):
        keys = {"llm_name_or_path": str(backbone), "clip_pretrained": str(clip)} | keys
        Runner(request_for(shop)).run([Entry("a", "LLMFashionRec", keys)])
        return len(runs)

    assert row() == row() == 1
    moved = shutil.copytree(backbone, tmp_path / "elsewhere"), shutil.copy(clip, tmp_path / "other.pt")
    assert row(llm_name_or_path=str(moved[0]), clip_pretrained=str(moved[1])) == 1
    clip.write_bytes(b"Weights")
    assert row() == 2
    weights = backbone / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert row() == 3


def test_seeds(shop, runs):
    outcomes = Runner(request_for(shop, "--seeds=3", "--seed=7")).run([Entry("SASRec", "SASRec")])["SASRec"]
    assert [outcome.seed for outcome in outcomes] == [7, 8, 9] == [seed for _, seed in runs]


def test_failed_row_is_repeated(shop, monkeypatch):
    calls = []

    def fail(config):
        calls.append(1)
        raise ValueError("no\nroom") if len(calls) == 1 else UserError("fix this")

    monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", fail)
    runner = Runner(request_for(shop))
    first = runner.run([Entry("SASRec", "SASRec")])["SASRec"]
    assert (first[0].result, first[0].reason) == (None, "ValueError: no room")
    assert runner.run([Entry("SASRec", "SASRec")])["SASRec"][0].reason == "fix this"
    assert assemble.row("SASRec", first) == TableRow("SASRec", reason="seed 2020: ValueError: no room")
    entry = first[0].as_json()
    assert (entry["seed"], entry["status"]) == (2020, "failed: ValueError: no room")
    stage, engine = entry["row"].pop("stage"), entry["row"].pop("engine")
    assert stage.startswith("row-") and engine == engine_digest("SASRec")
    assert entry["row"] == {"model": "SASRec", "dataset": "tiny", "keys": {}}


def test_a_full_disk_ends_the_study(shop, monkeypatch):
    calls = []

    def fail(config):
        calls.append(config["model"])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", fail)
    with pytest.raises(UserError, match=f"^disk full at {shop}/saved.*: free space"):
        Runner(request_for(shop)).run([Entry("SASRec", "SASRec"), Entry("CORE", "CORE")])
    assert calls == ["SASRec"]


def test_another_engine_is_another_row(shop, runs, monkeypatch):
    """The row of an earlier engine is not shown again, and its name says so without a run."""
    runner, entry = Runner(request_for(shop)), Entry("a", "SASRec", {"train_share": 0.5})
    (outcome,) = runner.run([entry])["a"]
    assert outcome.name.stage == runner.row_stage(entry, 2020) and len(runs) == 1
    assert outcome.as_json()["row"] == vars(outcome.name)
    monkeypatch.setattr("recbole_llmfashion.study.runner.engine_digest", lambda model: "another")
    assert runner.row_stage(entry, 2020) != outcome.name.stage
    runner.run([entry])
    assert len(runs) == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Entry("x", "SASRek"), "did you mean 'SASRec'"),
        (Entry("x", "SASRec", {"learning_rat": 1}), "did you mean 'learning_rate'"),
        (Entry("x", "LLMFashionRec", {"decoding": "both"}), "decoding: expected one of"),
        (Entry("x", "SASRec", dataset="nowhere"), "unknown dataset 'nowhere'"),
    ],
)
def test_entries_are_validated_before_the_first_run(shop, runs, entry, message):
    with pytest.raises(UserError, match=message):
        Runner(request_for(shop)).run([Entry("ok", "SASRec"), entry])
    assert runs == []


def test_the_rows_that_other_processes_make(shop, runs):
    """Those that are not in the store, from the last; this process begins with the first of them."""
    request = request_for(shop, "--seeds=2")
    runner = Runner(request)
    runner.run([Entry("b", "SASRec")])
    both = [(Entry(name, model), seed) for name, model in (("b", "SASRec"), ("a", "GRU4Rec")) for seed in (2020, 2021)]
    rows = [*both, (Entry("c", "CORE"), 2020)]
    assert runner._tasks(rows) == [StudyRowTask(request, rows[4][0], 2020), StudyRowTask(request, rows[3][0], 2021)]
    assert runner._tasks(both[:2]) == []
    own = runner._tasks([(Entry("d", "LLMFashionRec"), 2020), *rows])
    assert own[0] == RowTask.of(runner.row_config(Entry("d", "LLMFashionRec"), 2020), id_model=True)
    assert [task.entry.label for task in own[1:]] == ["c", "a", "a"]


def test_a_row_that_another_process_made_is_taken(shop, runs):
    entry = Entry("a", "SASRec")
    StudyRowTask(request_for(shop), entry, 2020)()
    assert runs == [("SASRec", 2020)]
    assert Runner(request_for(shop)).run([entry])["a"][0].result is not None
    assert len(runs) == 1


@pytest.mark.slow
def test_two_processes_run_a_study(shop, capfd):
    """Real rows: the first here, the second there."""
    request = request_for(shop, "--epochs=1", "--train_batch_size=8")
    rows = [Entry("a", "SASRec"), Entry("b", "GRU4Rec")]
    found = []
    for n_jobs in (1, 2):
        keys = {**request.overrides, "n_jobs": n_jobs, "checkpoint_dir": str(shop / f"saved{n_jobs}")}
        outcomes = Runner(replace(request, overrides=keys)).run(rows)
        found.append({label: one.result.metrics for label, (one,) in outcomes.items()})
    assert found[0] == found[1] and capfd.readouterr().err.count("2 processes share the rows") == 1


def test_rows_go_to_another_machine(shop, runs):
    """A runner with an empty store reads the rows from the folder of row files, and gives the same results."""
    words = (f"--rows_path={shop}/rows", "--seeds=2")
    entries = [Entry("a", "SASRec"), Entry("b", "SASRec", {"train_share": 0.5}), Entry("c", "SASRec", {"n_layers": 1})]
    first = Runner(request_for(shop, *words)).run(entries)
    assert len(runs) == 6
    shutil.rmtree(shop / "saved")
    again = Runner(request_for(shop, *words)).run(entries)
    assert len(runs) == 6
    for label, outcomes in first.items():
        for one, other in zip(outcomes, again[label], strict=True):
            assert one.as_json() == other.as_json()
            pd.testing.assert_frame_equal(
                one.result.ranks.drop(columns="top"), other.result.ranks.drop(columns="top"), check_dtype=False
            )
    files = sorted((shop / "rows").iterdir())
    assert [path.stem for path in files] == sorted(one.name.stage for outcomes in first.values() for one in outcomes)
    Runner(request_for(shop, *words)).run([*entries, Entry("d", "SASRec", {"learning_rate": 0.5})])
    assert len(runs) == 8


def test_rows_of_the_store_are_written_too(shop, runs):
    Runner(request_for(shop)).run([Entry("a", "SASRec")])
    Runner(request_for(shop, f"--rows_path={shop}/rows")).run([Entry("a", "SASRec")])
    assert len(runs) == 1 and len(list((shop / "rows").iterdir())) == 1


def test_a_row_that_is_kept_is_no_task(shop, runs):
    words = (f"--rows_path={shop}/rows", "--n_jobs=2")
    entries = [Entry("a", "SASRec"), Entry("b", "GRU4Rec"), Entry("c", "CORE")]
    Runner(request_for(shop, *words[:1])).run(entries[1:])
    shutil.rmtree(shop / "saved")
    runner = Runner(request_for(shop, *words))
    assert runner._tasks([(entry, 2020) for entry in entries]) == []


def test_a_damaged_row_file_is_a_reason(shop, runs):
    request = request_for(shop, f"--rows_path={shop}/rows")
    Runner(request).run([Entry("a", "SASRec")])
    shutil.rmtree(shop / "saved")
    next((shop / "rows").iterdir()).write_text("{")
    outcome = Runner(request).run([Entry("a", "SASRec")])["a"][0]
    assert outcome.result is None and "delete it, and it is made again" in outcome.reason


def test_a_row_file_makes_no_stage(shop, runs):
    """Rows of files lack the lists, which a study of the same rows without the files needs."""
    words = (f"--rows_path={shop}/rows",)
    Runner(request_for(shop, *words)).run([Entry("a", "SASRec")])
    shutil.rmtree(shop / "saved")
    Runner(request_for(shop, *words)).run([Entry("a", "SASRec")])
    assert len(runs) == 1
    outcome = Runner(request_for(shop)).run([Entry("a", "SASRec")])["a"][0]
    assert len(runs) == 2 and all(len(top) == 2 for top in outcome.result.ranks["top"])
