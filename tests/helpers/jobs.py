"""Small runs of the main job as session fixtures, shared by the tests of serving and pipeline; no test changes one."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.helpers.fakes import INTER, SEARCH, SMALL, write_tiny

# no click filter: serving sees every click
KEYS = {
    **SMALL,
    "llm_name_or_path": "tiny-falcon",
    "num_beams": 100,
    "click_filter": "none",
    "llm_epochs": 1,
    "curriculum_epochs": 1,
    "max_new_tokens": 24,
}

# one run for each `item_tokens`; what holds for atomic tokens is tested with the others too, in the slow tests
JOBS = ["job", *(pytest.param(name, marks=pytest.mark.slow) for name in ("semantic_job", "text_job"))]


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The root of a dataset of fourteen users."""
    from typer.testing import CliRunner

    from recbole_llmfashion.cli.main import app

    root = tmp_path_factory.mktemp("served")
    size = ["--users", "14", "--items", "300", "--seed", "3"]
    made = CliRunner().invoke(app, ["simulate", "--category", "footwear", *size, "--out", str(root / "shoes")])
    assert made.exit_code == 0, made.output
    return root


@pytest.fixture(scope="session")
def run_job(shop):
    """The command: its folder, run folder, results.json and the served model's lists."""
    from recbole_llmfashion.cli.train import main

    def run(name, models="LLMFashionRec", **keys):
        keys = {"data_path": shop, "checkpoint_dir": shop / "saved", **KEYS, **keys}
        argv = [f"--model={models}", "--dataset=shoes", f"--output={shop / name}"]
        assert main([*argv, *(f"--{key}={value}" for key, value in keys.items())]) == 0
        rows = json.loads((shop / name / "results.json").read_text())["models"]
        ranks = pd.read_parquet(shop / name / "ranks.parquet")
        own = ranks.query("model == 'LLMFashionRec'").set_index("user")
        run = rows["LLMFashionRec"]["run"]
        return SimpleNamespace(root=shop, data=shop / "shoes", run=run, models=rows, ranks=own, all_ranks=ranks)

    return run


@pytest.fixture(scope="session")
def job(run_job):
    """The defaults: an item is a token, all lists are fused."""
    return run_job("out", "LLMFashionRec,CORE")


@pytest.fixture(scope="session")
def text_job(run_job):
    """As in the paper: IDs as text with the items' texts behind them, and the mixup of two lists."""
    keys = {"item_tokens": "text", "prompt_item_text": True, "ranking": "mixup", "mixup_m": 2, "num_beams": 0}
    return run_job("text", quantization="none", **keys)


@pytest.fixture(scope="session")
def semantic_job(run_job):
    """An item is a few codes."""
    return run_job("semantic", quantization="none", item_tokens="semantic")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """The run folder of a log of five users and six items, with a memory and one token per item."""
    from recbole_llmfashion.config.configurator import load_config
    from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
    from recbole_llmfashion.quick_start.experiment import run_experiment

    root = tmp_path_factory.mktemp("tiny")
    buys = "".join(f"u{u}\t{11 + (u + i) % 6}\tpurchase\t{1701000000 + 100 * i}\n" for u in (4, 5) for i in range(5))
    times = [(u, 1701000050 + 100 * i, f"{['red', 'blue'][u % 2]} {i}") for u in (4, 5) for i in (0, 1)]
    searches = "".join(f"u{u}\t{time}\t{query}\t\n" for u, time, query in times)
    write_tiny(root, INTER + buys, SEARCH + searches)
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    config = load_config(LLMFashionRec, "tiny", (), {**SMALL, **folders, "quantization": "none", "ranking": "mixup"})
    return Path(run_experiment(config, keep=True).details["run"])


@pytest.fixture
def recommender(job):
    return _load(job.run)


@pytest.fixture
def text_recommender(text_job):
    return _load(text_job.run)


@pytest.fixture
def semantic_recommender(semantic_job):
    return _load(semantic_job.run)


def _load(run):
    from recbole_llmfashion.serving.recommender import Recommender

    return Recommender.from_pretrained(run)
