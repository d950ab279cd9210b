"""One small run of the main job, shared by the tests of this folder; none of them changes it."""

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
KEYS = {
    **SMALL,
    "click_filter": "none",
    "ranking": "mixup",
    "mixup_m": 2,
    "max_new_tokens": 24,
}  # serving sees every click


@pytest.fixture(scope="session")
def job(tmp_path_factory):
    """A run of fourteen users: its folder, its run folder, results.json and the served model's lists."""
    root = tmp_path_factory.mktemp("served")
    size = ["--users", "14", "--items", "300", "--seed", "3"]
    made = CliRunner().invoke(app, ["simulate", "--category", "footwear", *size, "--out", str(root / "shoes")])
    assert made.exit_code == 0, made.output
    keys = {"data_path": root, "checkpoint_dir": root / "saved", **KEYS}
    argv = ["--model=LLMFashionRec,CORE", "--dataset=shoes", f"--output={root / 'out'}"]
    assert main([*argv, *(f"--{key}={value}" for key, value in keys.items())]) == 0
    models = json.loads((root / "out/results.json").read_text())["models"]
    ranks = pd.read_parquet(root / "out/ranks.parquet").query("model == 'LLMFashionRec'").set_index("user")
    run = models["LLMFashionRec"]["run"]
    return SimpleNamespace(root=root, data=root / "shoes", run=run, models=models, ranks=ranks, argv=argv, keys=keys)


@pytest.fixture
def recommender(job):
    return Recommender.load(job.run)
