import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from recbole_llmfashion.cli.train import main
from recbole_llmfashion.config.command_line import read_keys
from recbole_llmfashion.quick_start import experiment
from tests.helpers.command_lines import run_arguments
from tests.helpers.fakes import INTER, ITEM, SEARCH, write_tiny


def test_arguments():
    words = ["--model=CORE, SASRec,CORE", "--dataset", "shoes", "--topk=[5,10]", "--learning_rate=1e-4", "--a=b=c"]
    arguments = run_arguments(words)
    assert arguments.models == ["CORE", "SASRec"] and arguments.dataset == "shoes"
    assert arguments.output == Path("results/shoes") and arguments.config_files == []
    assert arguments.overrides == {"topk": [5, 10], "learning_rate": 1e-4, "a": "b=c"}


def test_short_options_are_recboles():
    short = run_arguments(["-m", "CORE", "-d", "shoes", "--config_files=a.yaml b.yaml", "--output", "here"])
    long = run_arguments(["--model=CORE", "--dataset=shoes", "--config_files", "a.yaml b.yaml", "--output=here"])
    assert replace(short, command="") == replace(long, command="")
    assert short.config_files == ["a.yaml", "b.yaml"] and short.output == Path("here")


@pytest.mark.parametrize("words", [["-m", "CORE", "--epochs=3", "-d", "shoes"], ["--model=CORE", "-d", "shoes"]])
def test_the_command_is_kept_as_typed(words):
    assert run_arguments(words).command == f"prog {' '.join(words)}"


def test_a_flag_needs_no_value():
    assert read_keys(["--use_tuned", "--seed=1"]) == {"use_tuned": True, "seed": 1}
    assert read_keys(["--use_tuned=False"]) == {"use_tuned": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing option '--model' / '-m'"),
        (["--model=CORE"], "Missing option '--dataset' / '-d'"),
        (["--model=,", "--dataset=x"], "--model: expected a name"),
        (["CORE", "--model=CORE", "--dataset=x"], "expected --key=value, found 'CORE'"),
        (["--model=CORE", "--dataset"], "'--dataset' requires an argument"),
        (["--model=CORE", "--model=CORE", "--dataset=x"], "--model is given twice"),
        (["--model=CORE", "-m", "CORE", "--dataset=x"], "--model is given twice"),
        (["--model=CORE", "--dataset=x", "--epochs=1", "--epochs=1"], "--epochs is given twice"),
        (["--model=CORE", "--dataset=x", "--topk=[1"], "not a YAML value"),
    ],
)
def test_bad_words(words, message, capsys):
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line


SMALL = ("--topk=[3]", "--valid_metric=NDCG@3")  # the tiny catalogue has six items


def status_and_line(capsys, root, *options, model="Popularity", dataset="tiny"):
    small = [] if any(option.startswith("--topk") for option in options) else SMALL
    argv = [f"--model={model}", f"--dataset={dataset}", f"--data_path={root}", f"--output={root}/out"]
    status = main([*argv, f"--checkpoint_dir={root}/saved", "--show_progress=False", *small, *options])
    return status, capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": "SASREC"}, "did you mean 'SASRec'"),
        ({"dataset": "tyni"}, "did you mean 'tiny'"),
        ({"dataset": "clothing"}, "recbole-llmfashion simulate --category clothing"),
    ],
)
def test_names_that_are_not_there(tmp_path, capsys, options, expected):
    write_tiny(tmp_path)
    status, line = status_and_line(capsys, tmp_path, **options)
    assert status == 2 and expected in line and line.startswith("error: ")


@pytest.mark.parametrize(
    ("files", "expected"),
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
def test_bad_files_are_one_line(tmp_path, capsys, files, expected):
    write_tiny(tmp_path, **files)
    status, line = status_and_line(capsys, tmp_path)
    assert status == 2 and expected in line


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
    real = experiment.run_experiment

    def fails_for_sasrec(config, **options):
        if config["model"] == "SASRec":
            raise RuntimeError("weights\nare gone")
        return real(config, **options)

    monkeypatch.setattr(experiment, "run_experiment", fails_for_sasrec)
    status, _ = status_and_line(capsys, tmp_path, model="SASRec")
    models = json.loads((tmp_path / "out/results.json").read_text())["models"]
    assert status == 1
    assert models["SASRec"] == {"status": "failed: RuntimeError: weights are gone"}
    assert models["Popularity"]["status"] == "ok"


@pytest.mark.parametrize(
    ("error", "expected"),
    [(KeyboardInterrupt(), "finished stages are kept"), (OSError(errno.ENOSPC, "No space left", "/x"), "free space")],
)
def test_stopped_or_full(tmp_path, capsys, monkeypatch, error, expected):
    write_tiny(tmp_path)

    def stops(config, **options):
        raise error

    monkeypatch.setattr(experiment, "run_experiment", stops)
    status, line = status_and_line(capsys, tmp_path)
    assert status == 2 and expected in line


def test_a_write_that_found_no_room_is_a_full_disk_whatever_it_raised(tmp_path, capsys, monkeypatch):
    write_tiny(tmp_path)

    def fails(config, **options):
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(experiment, "run_experiment", fails)
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


def test_a_catalogue_smaller_than_topk_is_one_line(tmp_path, capsys):
    write_tiny(tmp_path)
    status, line = status_and_line(capsys, tmp_path, "--topk=[10]")
    assert status == 2 and "topk: 10" in line
