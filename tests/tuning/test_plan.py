"""Settings and identity of a planned search."""

import pytest

from recbole_llmfashion.errors import UserError
from tests.helpers.command_lines import plan_of
from tests.helpers.fakes import write_tiny


def planned(folder, *words, space="n_layers: {choice: [1, 2]}\n", model="SASRec"):
    write_tiny(folder / "data")
    (folder / "space.yaml").write_text(space)
    base = [f"--model={model}", "--dataset=tiny", f"--data_path={folder / 'data'}", f"--output={folder / 'out'}"]
    return plan_of([*base, "--topk=[2]", "--valid_metric=NDCG@2", f"--params_file={folder / 'space.yaml'}", *words])


def test_settings(tmp_path):
    settings = planned(tmp_path, "--epochs=7", "--seed=3", "--grace_period=2", "--reduction_factor=4").settings
    assert (settings.steps, settings.seed, settings.grace_period, settings.reduction_factor) == (7, 3, 2, 4)
    assert (settings.bigger, settings.mode, settings.cpus, settings.gpus) == (True, "max", 1, 0)
    assert planned(tmp_path).settings.grace_period == 4


def test_steps_are_validations(tmp_path):
    """RecBole validates after each `eval_step`th epoch."""
    assert planned(tmp_path, "--epochs=21", "--eval_step=5").settings.steps == 4
    space = "epochs: {choice: [8, 20]}\n"
    assert planned(tmp_path, "--eval_step=2", space=space).settings.steps == 10


def test_a_zero_without_a_point_does_not_make_a_key_whole(tmp_path):
    floats = "weight_decay: {loguniform: [1e-5, 0.1]}\nhidden_dropout_prob: {uniform: [0.1, 0.5]}\n"
    space = f"{floats}n_layers: {{uniform: [1, 3]}}\n"
    domains = planned(tmp_path, "--weight_decay=0", "--hidden_dropout_prob=0", space=space).space.domains
    assert {key: domain.integer for key, domain in domains.items()} == {
        "weight_decay": False, "hidden_dropout_prob": False, "n_layers": True,
    }  # fmt: skip
    (tmp_path / "margin.yaml").write_text("title_model: {margin: 1}\n")
    file, field = f"--config_files={tmp_path / 'margin.yaml'}", "title_model.margin: {uniform: [0.1, 0.4]}\n"
    assert not planned(tmp_path, file, space=field, model="LLMFashionRec").space.domains["title_model.margin"].integer


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
    ours = {"space": "llm_epochs: {choice: [1, 2]}\n", "model": "LLMFashionRec"}
    for key, value in (("n_jobs", 4), ("num_train_workers", 2)):
        (tmp_path / "keys.yaml").write_text(f"{key}: {value}\n")
        with pytest.raises(UserError, match=f"{key}: each trial of a search trains in one process, found {value}; "):
            planned(tmp_path, f"--config_files={tmp_path / 'keys.yaml'}", **ours)
