"""The defaults of the studies' options; tests/study/test_request.py has their words."""

import pytest

from recbole_llmfashion.cli.main import run
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.request import MODELS
from tests.helpers.command_lines import study_request
from tests.helpers.fakes import write_tiny
from tests.helpers.study import result_of


def test_defaults():
    request = study_request("compare", ["-d", "shoes"])
    assert request.models == MODELS and request.seeds == 3 and request.overrides == {"use_tuned": True}
    assert request.command == "prog study compare -d shoes" and str(request.output) == "results/shoes-compare"
    assert study_request("low-resource", ["-d", "shoes"]).options == {"shares": "1,5,10,25,50,100"}
    assert study_request("reproduce", ["-d", "shoes"]).options == {"shares": "10,100", "targets": "none"}
    assert study_request("cold-start", ["-d", "shoes"]).flag("plus_cold") is True


def test_a_flag_is_true_or_false():
    request = study_request("cold-start", ["-d", "shoes", "--plus_cold=3"])
    with pytest.raises(UserError, match="--plus_cold: expected True or False, found '3'"):
        request.flag("plus_cold")


def test_the_cost_studys_own_options():
    request = study_request("cost", ["-d", "shoes", "--users=32"])
    assert request.models == ("LLMFashionRec",) and request.seeds == 1
    assert request.options == {
        "groups": "all", "lengths": "136,160,512", "backbones": "tiny-falcon-untrained", "users": "32"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ablation", "curriculum", "cost"])
def test_a_study_of_our_model_alone_takes_no_models(name):
    assert study_request(name, ["-d", "shoes"]).models == ("LLMFashionRec",)
    for option in ("model", "models"):
        with pytest.raises(UserError) as raised:
            study_request(name, ["-d", "shoes", f"--{option}=CORE"])
        assert str(raised.value) == (
            f"--{option}: expected no such option, found 'CORE'; study {name} runs LLMFashionRec alone, leave it out"
        )


@pytest.mark.parametrize("name", ["compare", "cold-start", "low-resource", "time-split", "reproduce"])
def test_a_study_of_several_models_takes_no_model(name):
    with pytest.raises(UserError) as raised:
        study_request(name, ["-d", "shoes", "--model=SASRec"])
    assert str(raised.value) == f"--model: expected --models, found 'SASRec'; study {name} takes --models=NAMES"


@pytest.mark.parametrize(("broken", "status"), [("CORE", 1), ("", 0)])
def test_the_status_says_whether_a_row_failed(tmp_path, monkeypatch, capsys, broken, status):
    """The report is written all the same."""

    def runs(config):
        if config["model"] == broken:
            raise ValueError("no room")
        return result_of((1, 2, 3))

    write_tiny(tmp_path)
    monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", runs)
    out = tmp_path / "out"
    places = [f"--data_path={tmp_path}", f"--checkpoint_dir={tmp_path / 'saved'}", f"--output={out}"]
    words = ["--models=CORE,Popularity", "--seeds=1", "--topk=[3,10]", "--valid_metric=NDCG@3"]
    assert run(["study", "compare", "-d", "tiny", *places, *words]) == status
    assert ("failed: ValueError: no room" in (out / "results.json").read_text()) == bool(status)
    assert capsys.readouterr().out.endswith(f"written: {out}/results.json, table.md, table.tex, report.html\n")
