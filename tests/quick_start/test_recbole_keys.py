"""What a key of RecBole changes, by runs of a small model with and without it; tests/config has the keys not read."""

import json
import os
from functools import cache
from pathlib import Path

import pytest
import torch

from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config
from tests.helpers.fakes import simulated_shop
from tests.helpers.recbole_keys import OWN, READ, RESULT, ROWS, SAME, TRAINING

SIZES = {"embedding_size": 8, "hidden_size": 8, "num_layers": 1, "dropout_prob": 0.0, "train_batch_size": 64}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trains GRU4Rec with keys; (result, what the training recorded), each in a stage of its own."""
    root = simulated_shop(tmp_path_factory.mktemp("keys"))

    def run(**given):
        place = tmp_path_factory.mktemp("saved")
        fixed = {"data_path": str(root), "checkpoint_dir": str(place), "epochs": 2, "show_progress": False}
        result = run_experiment(load_config("GRU4Rec", "shoes", (), {**fixed, **SIZES, **given}))
        (stage,) = place.glob("shoes/stages/train_GRU4Rec-*")
        return result, json.loads(Path(stage, "fit.json").read_text())

    return run


@pytest.fixture(scope="module")
def without(run):
    """A run without a key, which several keys share."""
    return cache(lambda keys: run(**json.loads(keys)))


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key, (_, effect, _) in READ.items() if effect != OWN])
def test_a_key_changes_what_it_says(run, without, key):
    value, effect, fixed = READ[key]
    before, fit = without(json.dumps(fixed))
    after, other = run(**{**fixed, key: value})
    if effect == TRAINING:
        assert other["train_loss"] != fit["train_loss"]
    elif effect == ROWS:
        assert after.details["rows"] != before.details["rows"]
    elif effect == RESULT:
        assert after.metrics != before.metrics
        assert other["train_loss"] == fit["train_loss"]
    else:
        assert effect == SAME and other["train_loss"] == fit["train_loss"]
        assert after.metrics == before.metrics and after.ranks.equals(before.ranks)


@pytest.mark.slow
def test_epochs_between_validations_and_until_it_stops(run):
    _, every = run(epochs=4)
    _, second = run(epochs=4, eval_step=2)
    assert [epoch for epoch, _ in every["valid_scores"]] == [0, 1, 2, 3]
    assert second["valid_scores"] == [every["valid_scores"][epoch] for epoch in (1, 3)]
    _, worse = run(epochs=50, stopping_step=0, learning_rate=0.5)
    scores = [score for _, score in worse["valid_scores"]]
    assert worse["epochs"] == len(scores) < 50 and scores[-1] < max(scores[:-1])


@pytest.mark.slow
def test_the_metric_of_early_stopping(run):
    result, fit = run(valid_metric="recall@10")
    assert fit["valid_score"] == fit["valid"]["recall@10"] == max(score for _, score in fit["valid_scores"])
    assert fit["valid_score"] == result.valid["recall@10"]


@pytest.mark.slow
def test_half_precision_on_a_cpu_is_what_torch_makes_of_it(run):
    result, _ = run(enable_amp=True)
    assert result.metrics["mrr"] > 0


@pytest.mark.slow
def test_progress_is_shown_where_requested(run, capsys):
    run()
    assert "Train" not in capsys.readouterr().err
    run(show_progress=True)
    assert "Train" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "found"), [(1, "1"), ("0,1", "0,1"), ("", "")])
def test_the_id_of_a_gpu_hides_the_others(monkeypatch, given, found):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    config = load_config("GRU4Rec", "shoes", (), {"gpu_id": given})
    assert os.environ["CUDA_VISIBLE_DEVICES"] == found
    assert config["device"].type == ("cuda" if found and torch.cuda.is_available() else "cpu")


def test_config_files_as_one_text(tmp_path):
    for name, text in (("a", "epochs: 3\nseed: 4\n"), ("b", "seed: 5\n")):
        (tmp_path / f"{name}.yaml").write_text(text)
    files = f"{tmp_path}/a.yaml {tmp_path}/b.yaml"
    (tmp_path / "a 2.yaml").write_text("epochs: 3\n")
    for given in (files, files.split(), f"'{tmp_path}/a 2.yaml' {tmp_path}/b.yaml"):
        config = load_config("GRU4Rec", "shoes", given)
        assert (config["epochs"], config["seed"]) == (3, 5)
