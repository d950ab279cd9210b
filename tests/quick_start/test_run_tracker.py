"""A run with TensorBoard and Weights & Biases, and one without."""

import os
import re

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config
from tests.helpers.fakes import SMALL, simulated_shop, write_tiny
from tests.helpers.tracked import FakeWandb, points

METRICS = {"recall@3", "ndcg@3", "mrr@3"}


def run(root, model, dataset="tiny", **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "show_progress": False}
    small = {"topk": [3], "valid_metric": "NDCG@3"}
    return run_experiment(load_config(model, dataset, (), {**folders, **small, **keys}))


def board(root):
    """The curves of the one run in a folder, and its name."""
    (name,) = os.listdir(root / "board")
    return points(root / "board" / name), name


def test_a_baseline_has_the_curves_of_its_epochs(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    fake = FakeWandb(monkeypatch)
    keys = {"epochs": 3, "log_tensorboard": "board", "log_wandb": True, "wandb_project": "shop"}
    result = run(tmp_path, "GRU4Rec", **keys)
    curves, name = board(tmp_path)
    assert re.fullmatch(r"GRU4Rec-tiny-\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-[0-9a-f]{6}", name)
    assert curves.keys() == {
        *(f"train/{value}" for value in ("epoch", "train_loss", "learning_rate", "rows_per_second")),
        *(f"{part}/{metric}" for part in ("valid", "best_valid", "eval") for metric in METRICS),
        "eval/mrr",
    }
    assert [step for step, _ in curves["train/train_loss"]] == [0, 1, 2] == [s for s, _ in curves["valid/ndcg@3"]]
    assert [rate for _, rate in curves["train/learning_rate"]] == pytest.approx([0.001] * 3)
    assert dict(curves["eval/mrr"]) == pytest.approx({0: result.metrics["mrr"]})
    assert [entry["train/train_loss"] for entry in fake.logged if "train/train_loss" in entry] == pytest.approx(
        [loss for _, loss in curves["train/train_loss"]]
    )
    (begun,) = fake.begun
    assert (begun["project"], begun["name"], fake.finished) == ("shop", name, 1)
    assert begun["config"]["epochs"] == 3 and "data_path" not in begun["config"]

    again = run(tmp_path, "GRU4Rec", epochs=3)  # the same stage, and no further run
    assert again.metrics == result.metrics and again.reused == ["train_GRU4Rec"]
    assert len(os.listdir("board")) == len(fake.begun) == 1
    assert sorted(os.listdir()) == ["board", "saved", "tiny"]

    run(tmp_path, "GRU4Rec", epochs=3, log_tensorboard="later/board")  # the curves that the training recorded
    later, _ = board(tmp_path / "later")
    for name in ("train/train_loss", "train/epoch", "valid/ndcg@3", "eval/mrr"):
        assert later[name] == curves[name]
    assert "train/rows_per_second" not in later


def test_a_folder_that_cannot_be_written_is_found_before_the_rows_are_read(tmp_path):
    write_tiny(tmp_path)
    with pytest.raises(UserError, match=r"^log_tensorboard: .*tiny\.inter"):
        run(tmp_path, "GRU4Rec", log_tensorboard=str(tmp_path / "tiny/tiny.inter/board"))
    assert os.listdir(tmp_path) == ["tiny"]


def test_a_failed_run_is_closed(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    fake = FakeWandb(monkeypatch)
    with pytest.raises(UserError, match="topk"):
        run(tmp_path, "GRU4Rec", log_wandb=True, topk=[100], valid_metric="NDCG@100")
    assert len(fake.begun) == fake.finished == 1


@pytest.mark.slow
def test_fine_tuning_and_the_id_model_have_curves_in_the_run_of_their_row(tmp_path):
    keys = {**SMALL, "topk": [10], "valid_metric": "NDCG@10", "log_tensorboard": str(tmp_path / "board")}
    result = run(simulated_shop(tmp_path), "LLMFashionRec", "shoes", **keys)
    curves, _ = board(tmp_path)
    expected = {f"finetuning/{name}" for name in ("loss", "learning_rate", "tokens_per_second", "perplexity_mean")}
    of_id_model = ("SASRecSampled/train/train_loss", "SASRecSampled/valid/ndcg@10")
    assert expected | {*of_id_model, "best_valid/ndcg@10"} <= curves.keys()
    steps = [step for step, _ in curves["finetuning/loss"]]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 2
    assert dict(curves["eval/recall@10"]) == pytest.approx({0: result.metrics["recall@10"]})
    run(tmp_path, "LLMFashionRec", "shoes", **{**keys, "log_tensorboard": str(tmp_path / "later/board")})
    later, _ = board(tmp_path / "later")
    for name in ("finetuning/loss", *of_id_model):
        assert later[name] == curves[name]


@pytest.mark.slow
def test_recformers_stages_have_curves(tmp_path):
    small = {"recformer.layers": 1, "recformer.width": 32, "recformer.heads": 2, "recformer.attention_window": 8}
    epochs = {"recformer_pretrain_epochs": 0, "recformer_stage1_epochs": 2, "recformer_stage2_epochs": 1}
    keys = {**small, **epochs, "topk": [10], "valid_metric": "NDCG@10", "log_tensorboard": str(tmp_path / "board")}
    run(simulated_shop(tmp_path), "Recformer", "shoes", **keys)
    curves, _ = board(tmp_path)
    assert [step for step, _ in curves["recformer_stage1/train_loss"]] == [0, 1]
    assert len(curves["recformer_stage2/train_loss"]) == 1 and "recformer_stage1/valid_score" in curves
