"""The main job on real data: convert and run."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.cli.train import main
from tests.helpers.fakes import SMALL, real_data

MODELS = ["LLMFashionRec", "CORE", "SASRec", "GRU4Rec", "BERT4Rec", "NextItNet"]


def convert(root, users):
    """The first users of amazon_office as the dataset `office`."""
    source = real_data("amazon_office")
    events = pd.read_csv(source / "interactions.csv", dtype=str)
    events[events["user_id"].isin(events["user_id"].unique()[:users])].to_csv(root / "events.csv", index=False)
    command = [
        "convert", "table", "--interactions", str(root / "events.csv"), "--items", str(source / "items.csv"),
        "--user", "user_id", "--item", "item_id", "--time", "order", "--title", "title", "--brand", "brand",
        "--out", str(root / "office"),
    ]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, (result.output, result.exception)


def run(root, **keys):
    options = {"data_path": root, "checkpoint_dir": root / "saved", "output": root / "out", **keys}
    argv = [f"--model={','.join(MODELS)}", "--dataset=office", *(f"--{key}={value}" for key, value in options.items())]
    assert main(argv) == 0
    return json.loads((root / "out/results.json").read_text())["models"]


def test_six_models(tmp_path):
    convert(tmp_path, 60)
    rows = run(tmp_path, **SMALL)
    assert list(rows) == [*MODELS, "Popularity"]
    assert all(row["status"] == "ok" for row in rows.values())
    generation = rows["LLMFashionRec"]["generation"]
    assert generation["valid_id_rate"] == 1.0 and generation["title_pairs"] == "derived"
    assert generation["clip"].startswith("none")  # a log without queries
    ranks = pd.read_parquet(tmp_path / "out/ranks.parquet")
    targets = {model: set(map(tuple, part[["user", "target"]].to_numpy())) for model, part in ranks.groupby("model")}
    assert len(set(map(frozenset, targets.values()))) == 1 and len(targets["CORE"]) == 60


@pytest.mark.slow
def test_baselines_beat_popularity(tmp_path):
    """CORE and SASRec reach twice the NDCG@10 of popularity with a third of the users and few epochs."""
    convert(tmp_path, 1000)
    rows = run(tmp_path, **{**SMALL, "epochs": 12, "train_batch_size": 256})
    popularity = rows["Popularity"]["ndcg@10"]
    assert rows["SASRec"]["ndcg@10"] > 2 * popularity and rows["CORE"]["ndcg@10"] > 2 * popularity
