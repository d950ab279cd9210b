import errno
import json
from pathlib import Path

import pytest

from recbole_llmfashion.cli import train as module
from recbole_llmfashion.cli.train import main
from recbole_llmfashion.config.command_line import parse
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start import experiment
from tests.helpers.fakes import INTER, ITEM, SEARCH, write_tiny


def test_parse():
    found = parse(
        ["--model=CORE, SASRec,CORE", "--dataset", "shoes", "--topk=[5,10]", "--learning_rate=1e-4", "--a=b=c"]
    )
    assert found.models == ["CORE", "SASRec"] and found.dataset == "shoes" and found.output == Path("results/shoes")
    assert found.overrides == {"topk": [5, 10], "learning_rate": 1e-4, "a": "b=c"}


def test_a_flag_stands_for_itself():
    assert parse(["--use_tuned", "--model=CORE", "--dataset=shoes"]).overrides == {"use_tuned": True}
    assert parse(["--model=CORE", "--dataset=shoes", "--use_tuned"]).overrides == {"use_tuned": True}
    assert parse(["--model=CORE", "--dataset=shoes", "--use_tuned=False"]).overrides == {"use_tuned": False}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "--model is missing"),
        (["--model=CORE"], "--dataset is missing"),
        (["CORE"], "'CORE' is no option"),
        (["--model=CORE", "--dataset"], "--dataset wants a value"),
        (["--model=CORE", "--model=CORE", "--dataset=x"], "stands there twice"),
        (["--model=CORE", "--dataset=x", "--topk=[1"], "not readable as a YAML value"),
    ],
)
def test_command_lines_that_say_nothing(argv, said):
    with pytest.raises(UserError, match=said):
        parse(argv)


SMALL = ("--topk=[3]", "--valid_metric=NDCG@3")  # the tiny catalogue has six items


def status_and_line(capsys, root, *options, model="Popularity", dataset="tiny"):
    small = [] if any(option.startswith("--topk") for option in options) else SMALL
    argv = [f"--model={model}", f"--dataset={dataset}", f"--data_path={root}", f"--output={root}/out"]
    status = main([*argv, f"--checkpoint_dir={root}/saved", "--show_progress=False", *small, *options])
    return status, capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "SASREC"}, "did you mean 'SASRec'"),
        ({"dataset": "tyni"}, "did you mean 'tiny'"),
        ({"dataset": "clothing"}, "recbole-llmfashion simulate --category clothing"),
    ],
)
def test_names_that_are_not_there(tmp_path, capsys, options, said):
    write_tiny(tmp_path)
    status, line = status_and_line(capsys, tmp_path, **options)
    assert status == 2 and said in line and line.startswith("error: ")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"item": ITEM.replace("Plain Socks", "")}, "tiny.item, line 7"),
        ({"inter": INTER.replace("click\t1701000200", "view\t1701000200")}, "tiny.inter, line 4"),
        ({"inter": INTER.replace("1701000200", "-5")}, "tiny.inter, line 4"),
        ({"inter": INTER.replace("u1\t13\t", "u1\t99\t")}, "tiny.inter, line 4"),
        ({"search": SEARCH.replace("red boots", "")}, "tiny.search, line 2"),
        ({"inter": INTER.replace("\t", ",")}, "separated by tabs"),
        ({"item": ""}, "tiny.item"),
    ],
)
def test_bad_files_are_one_line(tmp_path, capsys, files, said):
    write_tiny(tmp_path, **files)
    status, line = status_and_line(capsys, tmp_path)
    assert status == 2 and said in line


@pytest.mark.parametrize(
    "option",
    [
        "--mixup_n=1",
        "--click_filter=some",
        "--state=LOUD",
        "--mixup_title_start=k",
        "--mixup_m=two",
        "--decoding=beam",
        "--prompt_attributes=[colour]",
        "--quantization=int8",
        "--prompts_per_user=0",
        "--max_targets_per_batch=0",
        "--show_progress=maybe",
        "--llm_name_or_path=no/such/folder/here",
    ],
)
def test_bad_keys_and_values_are_one_line(tmp_path, capsys, option):
    write_tiny(tmp_path)
    status, line = status_and_line(capsys, tmp_path, option, model="LLMFashionRec")
    assert status == 2 and option.split("=")[0][2:].split("_")[0] in line.lower()


def test_a_row_that_failed_is_a_row_and_status_1(tmp_path, capsys, monkeypatch):
    write_tiny(tmp_path)
    real = module.run_experiment

    def fails_for_sasrec(config, **options):
        if config["model"] == "SASRec":
            raise RuntimeError("weights\nare gone")
        return real(config, **options)

    monkeypatch.setattr(module, "run_experiment", fails_for_sasrec)
    status, _ = status_and_line(capsys, tmp_path, model="SASRec")
    models = json.loads((tmp_path / "out/results.json").read_text())["models"]
    assert status == 1
    assert models["SASRec"] == {"status": "failed: RuntimeError: weights are gone"}
    assert models["Popularity"]["status"] == "ok"


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyboardInterrupt(), "finished stages stay"), (OSError(errno.ENOSPC, "No space left", "/x"), "free space")],
)
def test_stopped_or_full(tmp_path, capsys, monkeypatch, error, said):
    write_tiny(tmp_path)

    def stops(config, **options):
        raise error

    monkeypatch.setattr(module, "run_experiment", stops)
    status, line = status_and_line(capsys, tmp_path)
    assert status == 2 and said in line


def test_a_write_that_found_no_room_is_a_full_disk_whatever_it_raised(tmp_path, capsys, monkeypatch):
    write_tiny(tmp_path)

    def fails(config, **options):
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(module, "run_experiment", fails)
    assert status_and_line(capsys, tmp_path)[0] == 1
    full = experiment.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(experiment.shutil, "disk_usage", lambda path: full)
    status, line = status_and_line(capsys, tmp_path)
    assert status == 2 and "disk full" in line and "free space" in line


def test_popularity_is_always_there_and_metrics_are_of_the_ranks(tmp_path, capsys):
    import pandas as pd

    write_tiny(tmp_path)
    status, _ = status_and_line(capsys, tmp_path)
    document = json.loads((tmp_path / "out/results.json").read_text())
    ranks = pd.read_parquet(tmp_path / "out/ranks.parquet")
    assert status == 0 and list(document["models"]) == ["Popularity"]
    assert ranks[["user", "target"]].to_numpy().tolist() == [["u1", "16"], ["u2", "13"], ["u3", "14"]]
    entry = document["models"]["Popularity"]
    assert entry["mrr"] == pytest.approx((1 / ranks["rank"]).mean())
    assert entry["recall@3"] == pytest.approx((ranks["rank"] <= 3).mean(), abs=1e-6)
    assert 0 < entry["recall@3"] < 1


def test_a_catalogue_smaller_than_topk_is_said(tmp_path, capsys):
    write_tiny(tmp_path)
    status, line = status_and_line(capsys, tmp_path, "--topk=[10]")
    assert status == 2 and "topk: 10" in line
