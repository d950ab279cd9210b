"""Settings and identity of a planned search."""

import pytest

from recbole_llmfashion.errors import UserError
from tests.helpers.command_lines import plan_of
from tests.helpers.fakes import write_tiny


def planned(folder, *words):
    write_tiny(folder / "data")
    (folder / "space.yaml").write_text("n_layers: {choice: [1, 2]}\n")
    base = ["--model=SASRec", "--dataset=tiny", f"--data_path={folder / 'data'}", f"--output={folder / 'out'}"]
    return plan_of([*base, "--topk=[2]", "--valid_metric=NDCG@2", f"--params_file={folder / 'space.yaml'}", *words])


def test_settings(tmp_path):
    settings = planned(tmp_path, "--epochs=7", "--seed=3", "--grace_period=2", "--reduction_factor=4").settings
    assert (settings.steps, settings.seed, settings.grace_period, settings.reduction_factor) == (7, 3, 2, 4)
    assert (settings.bigger, settings.mode, settings.cpus, settings.gpus) == (True, "max", 1, 0)
    assert planned(tmp_path).settings.grace_period == 4


def test_identity(tmp_path):
    identity = planned(tmp_path, "--epochs=7").identity()
    sha = identity.pop("data sha256")
    assert len(sha) == 64 and identity == {
        "model": "SASRec",
        "dataset": "tiny",
        "params_file": {"n_layers": {"choice": [1, 2]}},
        "search": "optuna",
        "valid_metric": "NDCG@2",
        "seed": 2020,
        "grace_period": 4,
        "reduction_factor": 3,
        "keys": {"files": [], "given": {"topk": [2], "valid_metric": "NDCG@2", "epochs": 7}},
    }


def test_identity_ignores_paths_and_devices(tmp_path):
    changed = planned(tmp_path, f"--checkpoint_dir={tmp_path / 'saved'}", "--show_progress=False", "--use_gpu=False")
    assert changed.identity() == planned(tmp_path).identity()


def test_command_is_without_resume(tmp_path):
    command = planned(tmp_path, "--resume").header.command
    assert command.startswith("prog --model=SASRec --dataset=tiny") and "--resume" not in command


def test_a_trial_has_one_process(tmp_path):
    for same in ("auto", "1"):
        planned(tmp_path, f"--n_jobs={same}")
    with pytest.raises(UserError, match="n_jobs: each trial of a search trains in one process"):
        planned(tmp_path, "--n_jobs=2")
