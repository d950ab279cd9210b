"""Small runs of the main job as session fixtures, shared by the tests of serving and pipeline; no test changes one."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.helpers.fakes import SMALL

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

    return Recommender.load(run)
