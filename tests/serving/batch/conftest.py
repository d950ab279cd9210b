"""A small run of the main job, shared by the tests of this folder, which do not change it."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from recbole_llmfashion.cli.train import main
from tests.helpers.fakes import SMALL, simulated_shop


@pytest.fixture(scope="session")
def job(tmp_path_factory):
    """Forty customers in batches of eight prompts."""
    root = simulated_shop(tmp_path_factory.mktemp("generated"))
    keys = {**SMALL, "data_path": root, "checkpoint_dir": root / "saved", "generation_batch_size": 8}
    argv = ["--model=LLMFashionRec", "--dataset=shoes", f"--output={root / 'out'}"]
    assert main([*argv, *(f"--{key}={value}" for key, value in keys.items())]) == 0
    run = json.loads((root / "out/results.json").read_text())["models"]["LLMFashionRec"]["run"]
    ranks = pd.read_parquet(root / "out/ranks.parquet").query("model == 'LLMFashionRec'")
    return SimpleNamespace(root=root, run=run, ranks=ranks)
