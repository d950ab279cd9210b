"""What each command imports, in fresh processes. A command that needs no model must not import a framework."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.fakes import write_tiny

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ("torch", "transformers", "recbole", "ray", "faiss", "open_clip", "bitsandbytes", "peft", "optuna")
# In one process, one after another: the first command after which a framework is loaded is the one that loads it.
DRIVER = """
import contextlib, io, json, runpy, sys
from recbole_llmfashion.cli.main import run

def scripted(words):
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as stop:
        return stop.code

results = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = scripted(words) if words and words[0].endswith(".py") else run(words)
    loaded = sorted({name.split(".")[0] for name in sys.modules})
    results.append({"words": words, "status": status, "out": out.getvalue(), "err": err.getvalue(), "loaded": loaded})
print(json.dumps(results))
"""
HELP = [
    [], ["run"], ["tune"], ["study"], ["study", "compare"], ["study", "ablation"], ["study", "curriculum"],
    ["study", "cold-start"], ["study", "zero-shot"], ["study", "low-resource"], ["study", "time-split"],
    ["study", "cost"], ["study", "reproduce"], ["validate"], ["clean"], ["simulate"], ["describe-images"], ["analyze"],
    ["convert"], ["convert", "table"],
    ["convert", "amazon-2023"], ["convert", "hm"], ["convert", "recbole"], ["convert", "rent-the-runway"],
    ["convert", "modcloth"], ["convert", "retailrocket"], ["convert", "diginetica"], ["convert", "kuaisearch"],
    ["convert", "kuaisar"], ["convert", "sequences"], ["convert", "minionerec"], ["pretrain"], ["pretrain-backbone"],
    ["recommend"], ["export"], ["demo"], ["generate"], ["audit"],
]  # fmt: skip
SCRIPTS = [["run_recbole_llm.py"], ["run_hyper.py"]]


def driven(commands, cwd=ROOT):
    """Status, output and loaded top-level modules after each command, all in one fresh process."""
    words = [[str(word) for word in command] for command in commands]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(words)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def frameworks(result):
    return [name for name in FRAMEWORKS if name in result["loaded"]]


@pytest.fixture(scope="module")
def helps():
    return driven([[*words, "--help"] for words in [*HELP, *SCRIPTS]])


def test_every_command_has_a_help_and_opens_without_a_framework(helps):
    assert [result["words"] for result in helps if result["status"] != 0 or "Usage: " not in result["out"]] == []
    heavy = {" ".join(result["words"]): result["loaded"] for result in helps}
    names = (*FRAMEWORKS, "numpy", "pandas", "pyarrow", "scipy", "matplotlib")
    assert {words: found for words, loaded in heavy.items() if (found := [n for n in names if n in loaded])} == {}


def test_every_registered_command_is_tried():
    from recbole_llmfashion.cli.main import app

    names = {(command.name,) for command in app.registered_commands}
    for group in app.registered_groups:
        names |= {(group.name,), *((group.name, command.name) for command in group.typer_instance.registered_commands)}
    assert {tuple(words) for words in HELP if words} == names


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["run"], ["--model", "-m", "--dataset", "-d", "--output", "--config_files", "--dry_run"]),
        (["run_recbole_llm.py"], ["--model", "-m", "--dataset", "-d", "--output", "--config_files"]),
        (["tune"], ["--params_file", "--num_samples", "--search", "--resume", "--address", "--dry_run"]),
        (["run_hyper.py"], ["--params_file", "--num_samples", "--search", "--resume", "--address"]),
        (["study", "compare"], ["--dataset", "--models", "--seeds", "--output", "--config_files", "--dry_run"]),
        (["study", "zero-shot"], ["--source", "--targets", "--models", "--seeds", "--dry_run"]),
        (["study", "cold-start"], ["--plus_cold"]),
        (["study", "low-resource"], ["--shares"]),
        (["generate"], ["--run", "--split", "--num_workers", "--shard_size"]),
        (["convert", "hm"], ["--articles", "--transactions", "--k-core", "--since"]),
        (["describe-images"], ["--images", "--out", "--clip_model", "--clip_pretrained", "--margin"]),
    ],
)
def test_help_lists_the_options(helps, words, options):
    text = next(result["out"] for result in helps if result["words"] == [*words, "--help"])
    assert [option for option in options if option not in text] == []


def test_help_of_run_has_the_common_keys_with_their_comments(helps):
    text = next(result["out"] for result in helps if result["words"] == ["run", "--help"])
    comment = re.search(r"^seed: 2020 +# (.+)$", (ROOT / "properties/overall.yaml").read_text(), re.M)
    assert "seed=2020" in text and comment.group(1) in text
    assert "epochs=20" in text and "maximum number of epochs" in text and "learning_rate=0.001" in text
    assert "docs/config.md" in text and "llm_name_or_path=tiny-falcon" in text


def test_help_has_the_default_of_use_tuned_that_holds_for_the_command(helps):
    texts = {" ".join(result["words"]): result["out"] for result in helps}
    found = {words: re.findall(r"use_tuned=(\w+)", text) for words, text in texts.items() if "use_tuned=" in text}
    studies = {" ".join([*words, "--help"]): ["True"] for words in HELP if len(words) == 2 and words[0] == "study"}
    assert found == studies | {
        f"{words} --help": ["False"] for words in ("run", "tune", "generate", "pretrain", *map(" ".join, SCRIPTS))
    }


def errors(root):
    """Command lines that are wrong, and a part of the message."""
    data = [f"--data_path={root}", "--topk=[3]", "--valid_metric=NDCG@3"]
    run = ["run", "-m", "CORE", "-d", "tiny", *data]
    tune = ["tune", "-m", "CORE", "-d", "tiny", *data]
    (root / "space.yaml").write_text("n_layerz: {choice: [1, 2]}\n")
    return [
        (["no-such-command"], "No such command"),
        (["run", "-d", "tiny"], "Missing option '--model'"),
        (["run", "-m", "COREE", "-d", "tiny"], "unknown model 'COREE'"),
        (["run", "-m", "CORE", "-d", "tinny", *data], "unknown dataset 'tinny'"),
        ([*run, "--lerning_rate=1"], "did you mean 'learning_rate'?"),
        ([*run, "--beams=3", "-m", "LLMFashionRec"], "--model is given twice"),
        ([*run, "--config_files=none.yaml"], "none.yaml: no such file"),
        ([*run, "--epochs=many"], "epochs: expected a whole number of 1 or more, found 'many'"),
        ([*run, "--seed=x"], "seed: expected a whole number from 0 to 4294967295, found 'x'"),
        ([*run, "--state=LOUD"], "state: expected one of"),
        (["run", "-m", "CORE", "-d", "tiny", data[0], "--valid_metric=NDCG@7"], "'NDCG@7' is not computed"),
        ([*run, "word"], "expected --key=value, found 'word'"),
        (["run_recbole_llm.py", "--model=CORE", "--dataset=tiny", "--lerning_rate=1"], "unknown key 'lerning_rate'"),
        (["run_hyper.py", "--model=CORE"], "Missing option"),
        ([*tune, "--params_file=none.yaml"], "none.yaml: no such file; --params_file takes a YAML file"),
        ([*tune, f"--params_file={root / 'space.yaml'}"], "unknown key 'n_layerz'"),
        ([*tune, f"--params_file={root / 'space.yaml'}", "--search=best"], "--search: expected one of"),
        (["study", "compare", "-d", "tinny", *data], "unknown dataset 'tinny'"),
        (["study", "compare", "-d", "tiny", *data, "--models=CORE,X"], "--models: unknown model 'X'"),
        (["study", "zero-shot", "--source=tiny", "--targets=nope", *data], "--targets: unknown dataset 'nope'"),
        (["study", "zero-shot", "--source=tinny", "--targets=tiny", *data], "--source: unknown dataset 'tinny'"),
        (["study", "reproduce", "-d", "tiny", "--targets=nope", *data], "--targets: unknown dataset 'nope'"),
        (["study", "compare", "-d", "tiny", *data, "--lerning_rate=1"], "unknown key 'lerning_rate'"),
        (["pretrain", "-m", "Recformer", "-d", "tinny", data[0]], "unknown dataset 'tinny'"),
        (["pretrain-backbone", "--config", "none.yaml"], "--config: none.yaml"),
        (["generate", "--run", "nowhere"], "nowhere"),
        (["audit", "--run", "nowhere"], "nowhere"),
        (["recommend", "--run", "nowhere", "--actions", "nothing.jsonl"], "nothing.jsonl"),
        (["export", "--run", "nowhere", "--out", "x"], "nowhere"),
        (["demo", "--run", "nowhere"], "nowhere"),
        (["analyze", "nowhere"], "no such folder"),
        (["convert", "hm", "--out", "x"], "expected files, found none"),
        *wrong_places(root, run, tune, data),
    ]


def wrong_places(root, run, tune, data):
    """Places that cannot be written: a file, a place below a file, a name that is too long."""
    (root / "file").write_text("")
    (root / "lr.yaml").write_text("learning_rate: {choice: [0.1, 0.2]}\n")
    (root / "e.csv").write_text("user,item,time\nu1,a,1700000000\nu2,a,1700000100\n")
    (root / "i.csv").write_text("item,title\na,red boots\n")
    table = ["--interactions", root / "e.csv", "--items", root / "i.csv", "--user", "user", "--item", "item"]
    study = ["study", "compare", "-d", "tiny", "--models=CORE", data[0], "--topk=[3,10]", "--valid_metric=NDCG@3"]
    writers = [
        (run, "--output"),
        (run, "--checkpoint_dir"),
        ([*tune, f"--params_file={root / 'lr.yaml'}"], "--output"),
        ([*tune, f"--params_file={root / 'lr.yaml'}"], "--checkpoint_dir"),
        (study, "--output"),
        (study, "--checkpoint_dir"),
        (["pretrain", "-m", "Recformer", "-d", "tiny", data[0]], "--checkpoint_dir"),
        (["clean", root / "tiny"], "--out"),
        (["simulate", "--category", "footwear", "--users", "20"], "--out"),
        (["convert", "table", *table, "--time", "time", "--title", "title"], "--out"),
        (["analyze", root / "tiny"], "--output"),
    ]
    places = [root / "file", root / "file/below", root / ("x" * 256)]
    return [
        ([*words, f"{option}={place}"], f"{option.removeprefix('--') if 'dir' in option else option}")
        for words, option in writers
        for place in places
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("startup")
    write_tiny(folder)
    return folder


def test_errors_are_one_line_and_load_no_framework(root):
    cases = errors(root)
    for (words, message), result in zip(cases, driven([words for words, _ in cases]), strict=True):
        lines = [
            line for line in result["err"].splitlines() if line and not re.match(r"[\w ]+: +\d+%", line)
        ]  # progress bars
        assert result["status"] == 2, (words, result)
        assert len(lines) == 1 and lines[0].startswith("error: ") and message in lines[0], (words, lines)
        assert frameworks(result) == [], words


def test_dataset_commands_load_no_framework(root):
    events = "user,item,time\nu1,a,1700000000\nu2,b,1700000100\nu2,a,1700000200\n"
    (root / "events.csv").write_text(events)
    (root / "items.csv").write_text("item,title\na,red boots\nb,blue boots\n")
    table = ["--interactions", root / "events.csv", "--items", root / "items.csv", "--user", "user", "--item", "item"]
    commands = [
        ["validate", root / "tiny"],
        ["clean", root / "tiny", "--out", root / "clean"],
        ["convert", "table", *table, "--time", "time", "--title", "title", "--out", root / "table"],
        ["simulate", "--category", "footwear", "--users", "20", "--items", "300", "--out", root / "shop"],
    ]
    for result in driven(commands):
        assert result["status"] == 0, result
        assert frameworks(result) == [] and "matplotlib" not in result["loaded"], result["words"]
    (result,) = driven([["analyze", root / "shop", "--output", root / "report"]])
    assert result["status"] == 0 and frameworks(result) == [], result


@pytest.mark.slow
def test_core_alone_loads_no_language_model(root):
    words = ["run", "-m", "CORE", "-d", "tiny", f"--data_path={root}", f"--checkpoint_dir={root / 'saved'}"]
    keys = ["--topk=[3]", "--valid_metric=NDCG@3", "--epochs=1", "--show_progress=False", "--output", root / "out"]
    (result,) = driven([[*words, *keys]])
    assert result["status"] == 0, result["err"]
    unneeded = ("transformers", "open_clip", "bitsandbytes", "peft", "faiss", "ray", "optuna", "tokenizers")
    assert [name for name in unneeded if name in result["loaded"]] == []
