"""Batch inference on two nodes, one of which is lost."""

import json
import sys
import time
import uuid
from pathlib import Path

import pandas as pd
import pytest
import ray
from ray import cloudpickle
from typer.testing import CliRunner

from recbole_llmfashion.cli import generate
from recbole_llmfashion.cli.main import app
from recbole_llmfashion.serving.batch import actors
from recbole_llmfashion.serving.batch.responder import BatchWorker

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Slow(BatchWorker):
    """A BatchWorker that writes a mark file while it works; `run` holds the folder of marks and the run folder."""

    def __init__(self, run, begun, threads):
        super().__init__(run, begun, threads)
        self.marks = Path(run).parents[2] / "marks"

    def __call__(self, table):
        node = ray.get_runtime_context().get_node_id()
        mark = self.marks / f"{node}-{table['shard'][0].as_py()}-{uuid.uuid4().hex}"
        mark.write_text("begun")
        until = time.monotonic() + 300
        while len({other.name.split("-")[0] for other in self.marks.iterdir()}) < 2 and time.monotonic() < until:
            time.sleep(0.1)  # until both nodes are at work
        time.sleep(0.7)
        answered = super().__call__(table)
        mark.write_text("done")
        return answered


@pytest.mark.slow
@pytest.mark.alone
def test_lost_node(head_node, job, tmp_path, monkeypatch):
    lost = head_node.add_node(num_cpus=1)
    marks = Path(job.run).absolute().parents[2] / "marks"
    marks.mkdir(exist_ok=True)
    killed = []
    answers = actors.answers

    def kill_at_work(*arguments):
        """Kills the second node after the first finished shard, while it works on another."""
        for answered in answers(*arguments):
            until = time.monotonic() + 120
            while not killed and time.monotonic() < until:
                if any(mark.read_text() == "begun" for mark in marks.glob(f"{lost.node_id}-*")):
                    killed.append(True)
                    head_node.remove_node(lost, False)
                time.sleep(0.05)
            yield answered

    monkeypatch.setattr(actors, "BatchWorker", Slow)
    monkeypatch.setattr(actors, "answers", kill_at_work)
    out = {name: tmp_path / name for name in ("here", "there")}
    words = ["generate", "--run", job.run, "--shard_size=8", "--out"]
    here = CliRunner().invoke(app, [*words, str(out["here"]), "--num_workers=0"])
    assert here.exit_code == 0, (here.output, here.exception)
    there = CliRunner().invoke(app, [*words, str(out["there"]), "--num_workers=2", f"--address={head_node.address}"])
    assert there.exit_code == 0, (there.output, there.exception)
    assert killed and {mark.name.split("-")[0] for mark in marks.iterdir()} > {lost.node_id}
    frames = {name: pd.read_parquet(folder) for name, folder in out.items()}
    assert sorted(frames["there"]["user"]) == sorted(job.ranks["user"])
    for file in sorted(out["here"].glob("*.parquet")):
        assert (out["there"] / file.name).read_bytes() == file.read_bytes()
    assert json.loads((out["there"] / "_job.json").read_text())["shards"] == 5
    assert generate.OUT.startswith("results/")
