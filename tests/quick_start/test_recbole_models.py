"""Every sequential model of RecBole that `--model` takes, for one epoch; README says that they run."""

import math
from pathlib import Path

import pytest

from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import MODEL_TABLE, UNSUPPORTED, load_config, model_names
from tests.helpers.fakes import simulated_shop

NAMES = [name for name in model_names() if name not in MODEL_TABLE]
PAIRWISE = ["SASRec", "GRU4Rec", "Caser", "NARM", "FOSSIL", "SHAN", "GRU4RecF", "FDSA", "FEARec", "HRM", "SRGNN"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return simulated_shop(tmp_path_factory.mktemp("recbole"))


def run(root, model, **keys):
    fixed = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "epochs": 1, "show_progress": False}
    return run_experiment(load_config(model, "shoes", (), {**fixed, "train_batch_size": 256, **keys}))


@pytest.mark.slow
@pytest.mark.parametrize("model", NAMES)
def test_every_model_trains_and_ranks(root, model, capsys):
    result = run(root, model)
    assert result.details["epochs"] == 1 and len(result.ranks) == 40 == result.details["rows"]["test"]
    assert all(math.isfinite(value) for value in result.metrics.values()) and result.metrics["mrr"] > 0
    assert capsys.readouterr().out == ""  # the table's place


@pytest.mark.slow
@pytest.mark.parametrize("model", PAIRWISE)
def test_models_train_with_negatives(root, model):
    result = run(root, model, loss_type="BPR", train_neg_sample_args={"sample_num": 2})
    assert len(result.ranks) == 40 and result.metrics["mrr"] > 0


def test_the_number_of_models_in_the_readme():
    text = Path(__file__).parents[2].joinpath("README.md").read_text()
    assert f"{len(NAMES)} of RecBole's {len(NAMES) + len(UNSUPPORTED)} sequential models" in " ".join(text.split())
