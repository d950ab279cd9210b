"""Responses of a split equal those of the evaluation; shards are computed once; other files are not overwritten."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.load import load_run
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.serving.batch import responder
from recbole_llmfashion.serving.batch.prompts import SplitPrompts
from recbole_llmfashion.serving.batch.responder import BatchWorker, as_table, from_table
from recbole_llmfashion.serving.batch.shards import ResponseShards


def generate(job, out, *options):
    """Runs the command in this process, with the number of threads of the evaluation."""
    threads = f"--cpus_per_worker={torch.get_num_threads()}"
    size = () if any(option.startswith("--shard_size") for option in options) else ("--shard_size=8",)
    words = ["generate", "--run", job.run, "--num_workers=0", "--out", str(out), threads, *size, *options]
    return CliRunner().invoke(app, words)


def all_rows(out):
    return pd.concat([pd.read_parquet(file) for file in sorted(Path(out).glob("*.parquet"))], ignore_index=True)


@pytest.fixture(scope="module")
def made(job, tmp_path_factory):
    out = tmp_path_factory.mktemp("responses") / "test"
    result = generate(job, out)
    assert result.exit_code == 0, (result.output, result.exception)
    return out


def test_responses_equal_the_evaluation(job, made):
    """Dataset and keys come from the run; shards of whole batches give identical responses."""
    rows = all_rows(made)
    assert len(list(made.glob("*.parquet"))) == 5 and rows.columns.tolist() == [
        *("user", "target", "prompt", "response", "items")
    ]
    assert sorted(rows["user"]) == sorted(job.ranks["user"])
    assert dict(zip(rows["user"], rows["target"], strict=True)) == dict(
        zip(job.ranks["user"], job.ranks["target"], strict=True)
    )
    stored = pd.read_parquet(Path(job.run) / "responses.parquet").set_index("prompt").loc[rows["prompt"]]
    items = pd.read_parquet(Path(job.run) / "catalogue.parquet")["item_id"].to_numpy()
    assert rows["response"].tolist() == stored["response"].tolist()
    assert [list(row) for row in rows["items"]] == [list(items[row]) for row in stored["items"]]
    assert {len(row) for row in rows["items"]} == {20}
    assert pd.read_parquet(made).equals(rows)  # readable as one table next to _job.json


def test_only_missing_shards_are_computed(job, made, tmp_path, monkeypatch):
    again, shards = tmp_path / "again", []
    again.mkdir()
    for file in made.iterdir():
        (again / file.name).write_bytes(file.read_bytes())
    (again / "responses-00003.parquet").unlink()
    before = {file.name: file.stat().st_mtime_ns for file in again.glob("*.parquet")}
    answer = BatchWorker.answer

    def recorded(self, shard, prompts):
        shards.append(shard)
        return answer(self, shard, prompts)

    monkeypatch.setattr(BatchWorker, "answer", recorded)
    result = generate(job, again)
    assert result.exit_code == 0 and "4 of 5 shards were there" in result.output and shards == [3]
    assert {name: (again / name).stat().st_mtime_ns for name in before} == before
    assert all_rows(again).equals(all_rows(made))
    monkeypatch.setattr(responder, "BatchWorker", None)  # no shard is missing, so no model is loaded
    assert generate(job, again).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--split=valid",), "another split, questions"), (("--shard_size=16",), "another questions, shards")],
)
def test_other_responses_are_not_overwritten(job, made, options, message):
    before = {file.name: file.read_bytes() for file in made.iterdir()}
    result = generate(job, made, *options)
    assert isinstance(result.exception, UserError) and message in str(result.exception)
    assert {file.name: file.read_bytes() for file in made.iterdir()} == before


def test_folder_with_other_files(job, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = generate(job, tmp_path)
    assert isinstance(result.exception, UserError) and "contains other files" in str(result.exception)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_unreadable_job_file(job, tmp_path):
    for text in ("{", "[" * 100_000):
        (tmp_path / "_job.json").write_text(text)
        assert "not readable" in str(generate(job, tmp_path).exception)


def test_another_dataset(job, tmp_path):
    other = tmp_path / "shoes"
    other.mkdir()
    for file in (job.root / "shoes").glob("shoes.*"):
        (other / file.name).write_bytes(file.read_bytes())
    item = other / "shoes.item"
    lines = item.read_text().splitlines()
    item.write_text("\n".join([*lines, lines[-1].replace(lines[-1].split("\t")[0], "999999")]) + "\n")
    result = generate(job, tmp_path / "out", f"--data_path={tmp_path}")
    assert isinstance(result.exception, UserError) and "has other items" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_sampled_shards_are_independent(job, monkeypatch):
    def sampling(folder):
        run = load_run(folder)
        changed = replace(
            run.decoding, decoding="sample", response_title="generated", temperature=2.0, max_new_tokens=6
        )
        return replace(run, decoding=changed)

    monkeypatch.setattr(responder, "load_run", sampling)
    prompts = [np.arange(5, 15 + i, dtype=np.int32) for i in range(3)]
    one = BatchWorker(job.run, 0, 1)
    first, second = ([response.text for response in one.answer(shard, prompts)] for shard in (0, 1))
    assert [response.text for response in BatchWorker(job.run, 0, 1).answer(1, prompts)] == second != first


def test_conversion_to_tables_and_back():
    table = as_table(7, [np.asarray([1, 2], np.int32), np.asarray([3], np.int32)])
    assert table.to_pydict() == {"shard": [7, 7], "prompt": [[1, 2], [3]]}

    class WithoutModel(BatchWorker):
        def __init__(self):
            pass

        def answer(self, shard, prompts):
            return [Response("a" * len(prompt), np.arange(len(prompt) - 1)) for prompt in prompts]

    shard, responses = from_table(WithoutModel()(table))
    assert shard == 7 and [response.text for response in responses] == ["aa", "a"]
    assert [response.items.tolist() for response in responses] == [[0], []]


def test_rows_with_equal_prompts_share_a_response(tmp_path):
    prompts = [np.arange(3), np.arange(2), np.arange(1)]
    split = SplitPrompts(list("abcd"), list("wxyz"), np.asarray([1, 0, 1, 2]), prompts, ["k0", "k1", "k2"], 2)
    assert split.shards == 2 and split.rows_of(0).tolist() == [0, 1, 2]
    shards = ResponseShards(tmp_path / "out", {"run": "r"}, split, ["i0", "i1"])
    assert shards.missing() == [0, 1]
    shards.write(0, [Response("zero", np.asarray([1])), Response("one", np.asarray([1, 0]))])
    shards.write(0, [Response("other"), Response("other")])  # a shard that was computed twice because a node was lost
    frame = pd.read_parquet(shards.path(0))
    assert frame["user"].tolist() == ["a", "b", "c"] and frame["response"].tolist() == ["one", "zero", "one"]
    assert [list(items) for items in frame["items"]] == [["i1", "i0"], ["i1"], ["i1", "i0"]]
    assert shards.missing() == [1]
