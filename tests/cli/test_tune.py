"""The command line of a search, and the folder it must not share."""

import json

import pytest

from recbole_llmfashion.cli.tune import claim_folder, main
from recbole_llmfashion.errors import UserError
from tests.helpers.command_lines import plan_of
from tests.helpers.fakes import write_tiny


@pytest.fixture
def words(tmp_path):
    write_tiny(tmp_path / "data")
    (tmp_path / "space.yaml").write_text("n_layers: {choice: [1, 2]}\nlearning_rate: {uniform: [0.001, 0.1]}\n")
    (tmp_path / "grid.yaml").write_text("n_layers: {choice: [1, 2]}\ntrain_targets: {choice: [all, purchase]}\n")
    base = ["--model=SASRec", "--dataset=tiny", f"--data_path={tmp_path / 'data'}", f"--output={tmp_path / 'out'}"]
    return [*base, "--topk=[2]", "--valid_metric=NDCG@2"]


def params(tmp_path, name="space.yaml"):
    return f"--params_file={tmp_path / name}"


def test_a_plan(words, tmp_path):
    made = plan_of([*words, params(tmp_path), "--num_samples=3", "--cpus_per_trial=2", "--epochs=5"])
    assert made.settings.num_samples == 3 and made.settings.method == "optuna" and made.settings.steps == 5
    assert made.settings.cpus == 2 and made.job.threads == 2  # each worker has as many threads as CPUs
    assert made.header.default == {"n_layers": 2, "learning_rate": 0.001} and made.header.metric == "NDCG@2"
    assert made.job.overrides["data_path"] == str(tmp_path / "data") and made.job.overrides["show_progress"] is False
    half = plan_of([*words, params(tmp_path), "--cpus_per_trial=0.5"])
    assert half.job.threads == 1 and half.settings.num_samples == 20


def test_a_grid_runs_all_of_its_points(words, tmp_path):
    made = plan_of([*words, params(tmp_path, "grid.yaml"), "--search=grid"])
    assert made.settings.num_samples == 4
    with pytest.raises(UserError, match="a grid search runs all 4 points"):
        plan_of([*words, params(tmp_path, "grid.yaml"), "--search=grid", "--num_samples=3"])


def test_the_longest_trial_is_the_longest_that_the_space_holds(words, tmp_path):
    (tmp_path / "epochs.yaml").write_text("epochs: {quniform: [2, 8, 2]}\n")
    assert plan_of([*words, params(tmp_path, "epochs.yaml")]).settings.steps == 8


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (["--valid_metric=NDGC@2"], "valid_metric: 'NDGC@2' is not computed; did you mean 'NDCG@2'"),
        (["--search=optima"], "--search: expected one of optuna, random, grid"),
        (["--num_samples=0"], "'--num_samples'.* found '0'; see"),
        (["--num_samples=many"], "'--num_samples'.*found 'many'; see"),
        (["--cpus_per_trial=-1"], "'--cpus_per_trial'.* found '-1'; see"),
        (["--cpus_per_trial=inf"], "'--cpus_per_trial'.* 4096, found 'inf'; see"),
        (["--gpus_per_trial=inf"], "'--gpus_per_trial'.* 4096, found 'inf'; see"),
        (["--reduction_factor=1"], "'--reduction_factor'.* found '1'; see"),
        (["--lerning_rate=0.1"], "unknown key 'lerning_rate'; did you mean 'learning_rate'"),
        (["--model=SASRec,CORE"], "expected one model, found SASRec, CORE"),
        (["--model=SASRek"], "did you mean 'SASRec'"),
        (["--dataset=tinny"], "did you mean 'tiny'"),
    ],
)
def test_mistakes_are_one_line_each(words, tmp_path, more, error):
    replaced = [word for word in words if word.split("=")[0] not in {m.split("=")[0] for m in more}]
    with pytest.raises(UserError, match=error):
        plan_of([*replaced, params(tmp_path), *more])


def test_a_dry_run_prints_space_settings_and_rows_and_leaves_nothing(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([*words, params(tmp_path), "--num_samples=3", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith('== search: optuna, 3 trials, by NDCG@2\nn_layers: {"choice": [1, 2]}\nlearning_rate: ')
    assert "== dataset tiny\n{users: 3, items: 6, " in out and "rows: {train: 3, valid: 2, test: 3}" in out
    assert sorted(tmp_path.rglob("*")) == before


def test_params_file_is_required(words, capsys):
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("error: run_hyper.py: Missing option '--params_file'")


def test_a_folder_is_one_searchs_own(words, tmp_path):
    made, out = plan_of([*words, params(tmp_path)]), tmp_path / "out"
    with pytest.raises(UserError, match="holds no search; leave --resume out"):
        claim_folder(out, made.identity(), resume=True)
    claim_folder(out, made.identity(), resume=False)
    with pytest.raises(UserError, match="holds a search already; --resume continues it"):
        claim_folder(out, made.identity(), resume=False)
    claim_folder(out, made.identity(), resume=True)
    more = plan_of([*words, params(tmp_path), "--num_samples=40", "--cpus_per_trial=2", f"--checkpoint_dir={tmp_path}"])
    claim_folder(out, more.identity(), resume=True)  # more trials, other machines, other folders: the same search
    for changed, key in ((["--epochs=3"], "keys"), (["--seed=1"], "seed"), (["--search=random"], "search")):
        other = plan_of([*words, params(tmp_path), *changed])
        with pytest.raises(UserError, match=f"a search with another {key}"):
            claim_folder(out, other.identity(), resume=True)
    with pytest.raises(UserError, match="choose a new folder"):
        claim_folder(out, other.identity(), resume=False)
    assert json.loads((out / "search.json").read_text())["model"] == "SASRec"


@pytest.mark.parametrize("text", ["", '{"model": "SAS', "[1]", "[" * 100_000])
def test_a_damaged_search_is_one_line(words, tmp_path, text):
    made, out = plan_of([*words, params(tmp_path)]), tmp_path / "out"
    out.mkdir()
    (out / "search.json").write_text(text)
    for resume in (True, False):
        with pytest.raises(UserError) as error:
            claim_folder(out, made.identity(), resume)
        assert str(error.value) == f"{out}/search.json: damaged; choose a new --output, or delete the folder"


def test_a_folder_of_something_else_is_left_alone(words, tmp_path):
    made, out = plan_of([*words, params(tmp_path)]), tmp_path / "out"
    out.mkdir()
    (out / "results.json").write_text("{}")
    with pytest.raises(UserError, match="holds files of something else"):
        claim_folder(out, made.identity(), resume=False)
    assert [path.name for path in out.iterdir()] == ["results.json"]
