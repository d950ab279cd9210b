"""Small runs of the main job, shared by the tests of this folder; none of them changes one."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest
from fakes import SMALL
from typer.testing import CliRunner

from recbole_llmfashion.cli import app
from recbole_llmfashion.run import main
from recbole_llmfashion.serving.recommender import Recommender

# no click filter: serving sees every click
KEYS = {**SMALL, "click_filter": "none", "llm_epochs": 1, "hard_epochs": 1, "max_new_tokens": 24}


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The root of a dataset of fourteen users."""
    root = tmp_path_factory.mktemp("served")
    size = ["--users", "14", "--items", "300", "--seed", "3"]
    made = CliRunner().invoke(app, ["simulate", "--category", "footwear", *size, "--out", str(root / "shoes")])
    assert made.exit_code == 0, made.output
    return root


def run_job(root, models, out, **keys):
    """The command: its folder, run folder, results.json and the served model's lists."""
    keys = {"data_path": root, "checkpoint_dir": root / "saved", **KEYS, **keys}
    argv = [f"--model={models}", "--dataset=shoes", f"--output={out}"]
    assert main([*argv, *(f"--{key}={value}" for key, value in keys.items())]) == 0
    rows = json.loads((out / "results.json").read_text())["models"]
    ranks = pd.read_parquet(out / "ranks.parquet")
    own = ranks.query("model == 'LLMFashionRec'").set_index("user")
    run = rows["LLMFashionRec"]["run"]
    return SimpleNamespace(root=root, data=root / "shoes", run=run, models=rows, ranks=own, all_ranks=ranks)


@pytest.fixture(scope="session")
def job(shop):
    """The defaults: an item is a token, all lists are fused."""
    return run_job(shop, "LLMFashionRec,CORE", shop / "out")


@pytest.fixture(scope="session")
def text_job(shop):
    """As the paper has it: IDs as text, one beside another item's texts, and the mixup of two lists."""
    keys = {"item_index": "text", "prompt_item": "text", "ranking": "mixup", "mixup_m": 2, "beams": 0}
    return run_job(shop, "LLMFashionRec", shop / "text", **keys)


@pytest.fixture(scope="session")
def semantic_job(shop):
    """An item is a few codes."""
    return run_job(shop, "LLMFashionRec", shop / "semantic", item_index="semantic")


@pytest.fixture
def recommender(job):
    return Recommender.load(job.run)


@pytest.fixture
def text_recommender(text_job):
    return Recommender.load(text_job.run)


@pytest.fixture
def semantic_recommender(semantic_job):
    return Recommender.load(semantic_job.run)
