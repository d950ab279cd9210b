"""run_hyper.py on a small shop with real models."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.cli.train import main as run_main
from recbole_llmfashion.cli.tune import main
from tests.helpers.fakes import simulated_shop

ROOT = Path(__file__).parents[2]
SPACE = "learning_rate: {loguniform: [1e-3, 1e-1]}\ntrain_targets: {choice: [all, purchase]}\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = simulated_shop(tmp_path_factory.mktemp("shop"))
    (root / "space.yaml").write_text(SPACE)
    return root


def arguments(shop, name, **keys):
    options = {
        "data_path": shop, "checkpoint_dir": shop / f"saved_{name}", "params_file": shop / "space.yaml",
        "output": shop / name, "epochs": 2, "train_batch_size": 64, "num_samples": 3, **keys,
    }  # fmt: skip
    return ["--model=GRU4Rec", "--dataset=shoes", *(f"--{key}={value}" for key, value in options.items())]


@pytest.mark.slow
@pytest.mark.alone
def test_search_and_main_job_with_best_yaml(shop, capsys):
    assert main(arguments(shop, "search")) == 0
    out = shop / "search"
    names = {"table.md", "trials.parquet", "best.yaml", "search.png", "journal.jsonl", "search.json"}
    assert {path.name for path in out.iterdir()} == names
    printed = capsys.readouterr().out
    assert (out / "table.md").read_text() in printed and "(default)" in printed
    frame = pd.read_parquet(out / "trials.parquet")
    assert len(frame) == 3 and set(frame["threads"].dropna()) == {1}  # one CPU per trial, so one thread
    best = frame.sort_values(["value", "trial"], ascending=[False, True]).iloc[0]
    # the main job with best.yaml reaches the validation value of the search
    command = [f"--data_path={shop}", "--epochs=2", "--train_batch_size=64", f"--config_files={out / 'best.yaml'}"]
    folders = [f"--checkpoint_dir={shop / 'saved_search'}", f"--output={shop / 'job'}"]
    assert run_main(["--model=GRU4Rec", "--dataset=shoes", *command, *folders]) == 0
    row = json.loads((shop / "job/results.json").read_text())["models"]["GRU4Rec"]
    assert row["valid"]["ndcg@10"] == pytest.approx(best["value"], abs=1e-9)
    assert row["stages_reused"] == ["train_GRU4Rec"]
    assert main(arguments(shop, "search")) == 2
    assert "holds a search already; --resume continues it" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.alone
def test_killed_search_is_resumed(shop):
    """SIGKILL after two trials; --resume runs the rest and repeats neither of them."""
    argv = arguments(shop, "killed", num_samples=5, search="random")
    command = [sys.executable, str(ROOT / "run_hyper.py"), *argv]
    journal = shop / "killed/journal.jsonl"
    driver = subprocess.Popen(command, cwd=shop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while driver.poll() is None and ended(journal) < 2:
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    before = journal.read_text().splitlines()
    assert 2 <= ended(journal) < 5
    again = subprocess.run([*command, "--resume"], cwd=shop, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    after = [json.loads(line) for line in journal.read_text().splitlines()]
    finished = {line["trial"] for line in map(json.loads, before) if line["event"] == "end"}
    for number in finished:
        assert sum(line["event"] == "start" and line["trial"] == number for line in after) == 1
    assert {line["trial"] for line in after if line["event"] == "end"} == set(range(5))
    assert len(pd.read_parquet(shop / "killed/trials.parquet")) == 5


def ended(journal: Path) -> int:
    return journal.read_text().count('"event": "end"') if journal.is_file() else 0
