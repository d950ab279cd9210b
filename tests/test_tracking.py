"""Trackers alone: what they write, and that they write nothing where nothing was requested."""

import os
import pickle
import sys
from types import ModuleType

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.tracking import Tracker, no_track, under
from tests.helpers.tracked import FakeWandb, points


def test_event_files_of_a_run(tmp_path):
    tracker = Tracker("one", tmp_path / "board", None, {"seed": 3})
    tracker.open()
    under(tracker, "CORE")(0, {"train/train_loss": 2.0})
    tracker(1, {"eval/recall@10": 0.25, "eval/mrr": 0.5})
    tracker.close()
    assert os.listdir(tmp_path / "board") == ["one"]
    found = points(tmp_path / "board/one")
    assert found == {"CORE/train/train_loss": [(0, 2.0)], "eval/recall@10": [(1, 0.25)], "eval/mrr": [(1, 0.5)]}


def test_a_run_of_weights_and_biases(monkeypatch):
    fake = FakeWandb(monkeypatch)
    tracker = Tracker("one", None, "shop", {"seed": 3})
    tracker(4, {"train/train_loss": 2.0, "train/epoch": 4.0})
    tracker(5, {"train/train_loss": 1.0})
    tracker(0, {"mrr": 0.5})
    assert fake.begun == [{"project": "shop", "name": "one", "group": "one", "config": {"seed": 3}}]
    assert fake.metrics == {"train/*": "train_step", "*": "step"}
    assert fake.logged == [
        {"train/train_loss": 2.0, "train/epoch": 4.0, "train_step": 4},
        {"train/train_loss": 1.0, "train_step": 5},
        {"mrr": 0.5, "step": 0},
    ]
    tracker.close()
    assert fake.finished == 1


def test_a_run_of_the_caller_stays_open(monkeypatch):
    fake = FakeWandb(monkeypatch)
    fake.module.run = fake
    tracker = Tracker("one", None, "shop")
    tracker(0, {"mrr": 0.5})
    tracker.close()
    assert fake.logged and not fake.begun and not fake.finished


def test_a_worker_gets_a_copy_with_a_run_of_its_own(tmp_path, monkeypatch):
    fake = FakeWandb(monkeypatch)
    tracker = Tracker("one", tmp_path, "shop")
    tracker(0, {"a/x": 1.0})
    copied = pickle.loads(pickle.dumps(under(tracker, "finetuning")))
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    fake.module.run = None
    copied(7, {"loss": 3.0})
    copied.args[0].close()
    tracker.close()
    assert points(tmp_path / "one") == {"a/x": [(0, 1.0)], "finetuning/loss": [(7, 3.0)]}
    assert [(run["name"], run["group"]) for run in fake.begun] == [("one", "one"), ("one-worker", "one")]


def test_nothing_is_written_unless_requested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)
    tracker = Tracker("one", None, None)
    tracker(0, {"loss": 1.0})
    tracker.close()
    no_track(0, {"loss": 1.0})
    assert under(no_track, "a") is no_track and os.listdir(tmp_path) == []


def test_what_cannot_be_opened_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^log_tensorboard: .*file"):
        Tracker("one", tmp_path / "file", None).open()

    class NoKey(ModuleType):
        run = None

        def init(self, **options):
            raise ValueError("api_key not configured (no-tty).\nCall wandb.login()")

    monkeypatch.setitem(sys.modules, "wandb", NoKey("wandb"))
    with pytest.raises(UserError, match=r"^log_wandb: api_key not configured .*WANDB_MODE=offline$") as raised:
        Tracker("one", None, "shop").open()
    assert "\n" not in str(raised.value)
