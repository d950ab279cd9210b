"""Ray Train workers produce the adapter of a single process, also if one of them is killed."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ray import cloudpickle
from safetensors.torch import load_file

from recbole_llmfashion.config.keys import RUNTIME_KEYS
from recbole_llmfashion.distributed import finetune_workers
from recbole_llmfashion.distributed.cluster import cluster
from recbole_llmfashion.distributed.finetune_workers import finetune_on_workers, share
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.job import BackboneSpec, FinetuneJob
from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.tracking import Tracker, under
from tests.helpers.fakes import SMALL
from tests.helpers.tracked import points
from tests.helpers.training import SETTINGS, STEPS, examples, item_tokens

cloudpickle.register_pickle_by_value(sys.modules[__name__])
BACKBONE = str(SMALL["llm_name_or_path"])


class Deadly:
    """A tokenizer that, when unpickled in a worker, makes worker 1 kill itself once, after five steps."""

    def __init__(self, killed: Path) -> None:
        self.killed = killed

    def __reduce__(self):
        return arm, (str(self.killed), BACKBONE)


def arm(killed, source):
    from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep

    step = TrainStep.step

    def dying(self, batches):
        if self.optimizer.steps == 5 and self.workers.rank == 1 and not Path(killed).exists():
            Path(killed).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batches)

    TrainStep.step = dying
    return load_tokenizer(source)


def work(place, decoder=None, **changed):
    index = item_tokens(BACKBONE)
    return FinetuneJob(
        BackboneSpec(BACKBONE, "none", "fp32", "cpu"),
        examples(index),
        index,
        decoder or load_tokenizer(BACKBONE),
        replace(SETTINGS, **changed),
        8,
        CheckpointFolder(place / "running", 2),
        False,
    )


def folder_of(place):
    folder = place / "adapter"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def ray_here():
    with cluster(None, 2):
        yield


@pytest.mark.slow
@pytest.mark.alone
def test_two_workers_one_killed(tmp_path, ray_here):
    alone, two = folder_of(tmp_path / "alone"), folder_of(tmp_path / "two")
    work(tmp_path / "alone").run(alone)
    tracked = replace(
        work(tmp_path / "two", Deadly(tmp_path / "killed")),
        track=under(Tracker("run", tmp_path / "board", None), "finetuning"),
    )
    finetune_on_workers(tracked, two, 2, None)
    assert (tmp_path / "killed").is_file()
    timing = json.loads((two / "timing.json").read_text())
    assert timing["resumed_at"] == [4]
    expected, found = (json.loads((folder / "losses.json").read_text()) for folder in (alone, two))
    assert len(found) == STEPS and found == pytest.approx(expected, abs=1e-4)
    curve = points(tmp_path / "board/run")["finetuning/loss"]
    assert [step for step, _ in curve if step > 5] == [6, 7, 8]  # of the first worker alone
    assert dict(curve) == pytest.approx(dict(enumerate(found, 1)), abs=1e-4)
    weights, others = (load_file(folder / "adapter_model.safetensors") for folder in (alone, two))
    assert weights.keys() == others.keys() and len(weights) > 16
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=1e-3, atol=1e-4)
    own, report = (json.loads((folder / "finetune.json").read_text()) for folder in (alone, two))
    assert report.keys() == own.keys() and report["format_failures"].keys() == own["format_failures"].keys()
    assert [path.name for path in (tmp_path / "two/running").iterdir()] == [f"step-{STEPS}"]  # no files of Ray remain


@pytest.mark.slow
@pytest.mark.alone
def test_user_error_is_not_retried(tmp_path, ray_here):
    place = tmp_path / "one"
    work(place).run(folder_of(place))
    with pytest.raises(UserError, match="other settings or prompts") as error:
        finetune_on_workers(work(place, seed=5), folder_of(tmp_path / "two"), 2, None)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        ([{"CPU": 2.0}], 2, (1, 0)),
        ([{"CPU": 16.0}], 2, (8, 0)),
        ([{"CPU": 16.0}, {"CPU": 4.0}], 3, (5, 0)),  # 5 CPUs: three workers on the first node; 8 CPUs: only two
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}], 2, (4, 1)),
    ],
)
def test_share(nodes, workers, expected):
    assert share(nodes, workers) == expected


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([{"CPU": 2.0}], r"3 is more than the nodes can run \(2 CPUs\)"),
        ([{"CPU": 8.0, "GPU": 1.0}], r"\(1 GPUs visible by gpu_id\)"),
    ],
)
def test_too_many_workers(nodes, message):
    with pytest.raises(UserError, match=message):
        share(nodes, 3)


def test_worker_keys_are_not_hashed():
    assert {"num_train_workers", "ray_address"} <= RUNTIME_KEYS


@pytest.mark.parametrize("workers", [1, 2])
def test_ray_only_for_several_workers(tmp_path, monkeypatch, workers):
    """Both ways have the same inputs and hence the same stage; `prepare` reads neither key."""
    calls = []
    config = {
        "llm_name_or_path": BACKBONE,
        "show_progress": False,
        "seed": 1,
        "max_new_tokens": 9,
        "loss_on_title": True,
        "quantization": "none",
    }
    config |= {"compute_dtype": "fp32", "device": "cpu", "save_steps": 2, "ray_address": "10.0.0.9:6379"}
    engine = LanguageModel(config | {"num_train_workers": workers}, StageStore(tmp_path))
    engine._examples, engine._index, engine._decoder, engine._finetuning = [], None, None, SETTINGS
    engine._validation = None
    engine._adapter_inputs = {"settings": "these"}
    monkeypatch.setattr(FinetuneJob, "run", lambda self, folder: calls.append(("here", self.checkpoint.path, folder)))
    monkeypatch.setattr(finetune_workers, "finetune_on_workers", lambda job, *rest: calls.append(("ray", *rest)))
    (tmp_path / "adapter").mkdir()
    engine._finetune(tmp_path / "adapter")
    running = engine.store.running("adapter", engine._adapter_inputs)
    expected = [("here", running, tmp_path / "adapter"), ("ray", tmp_path / "adapter", 2, "10.0.0.9:6379")]
    assert calls == [expected[workers - 1]]
