"""The whole job on a small simulated shop: one body for every row of the table, stages that are never made twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.cli.train import main
from recbole_llmfashion.llm.finetuning import job
from tests.helpers.fakes import BACKBONE_LAYERS, SMALL, replace_test_targets, simulated_shop

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return simulated_shop(tmp_path_factory.mktemp("shop"))


def arguments(shop, name, models="LLMFashionRec,SASRecSampled", **keys):
    options = {"data_path": shop, "checkpoint_dir": shop / f"saved_{name}", **SMALL, **keys}
    fixed = [f"--model={models}", "--dataset=shoes", f"--output={shop / name}"]
    return [*fixed, *(f"--{key}={value}" for key, value in options.items())]


def results(shop, name):
    return json.loads((shop / name / "results.json").read_text())["models"]


@pytest.fixture(scope="module")
def first(shop):
    assert main(arguments(shop, "first")) == 0
    return results(shop, "first")


METRICS = ("recall@10", "ndcg@10", "mrr@10", "mrr")


def test_every_model_has_a_row_on_the_same_targets(shop, first):
    assert list(first) == ["LLMFashionRec", "SASRecSampled", "Popularity"]
    assert all(row["status"] == "ok" and all(0 <= row[metric] <= 1 for metric in METRICS) for row in first.values())
    ranks = pd.read_parquet(shop / "first/ranks.parquet")
    sets = [set(map(tuple, part[["user", "target"]].to_numpy())) for _, part in ranks.groupby("model")]
    assert len(sets) == 3 and sets[0] == sets[1] == sets[2] and len(sets[0]) == first["SASRecSampled"]["rows"]["test"]
    for model, part in ranks.groupby("model"):
        assert (part["rank"] <= 10).mean() == pytest.approx(first[model]["recall@10"], abs=1e-6)


def test_what_an_llm_row_must_tell(first):
    row = first["LLMFashionRec"]
    generation = row["generation"]
    assert generation["valid_id_rate"] == 1.0  # constrained
    assert generation["quantized_layers"] == 4 * BACKBONE_LAYERS  # four projections a layer
    assert generation["clip"] == "trained on the log" and generation["title_pairs"] == "queries"
    assert {"format_rate", "fallback_rate", "in_prompt_rate", "prompts_truncated"} <= generation.keys()
    assert set(generation["perplexity"]) == {"before", "after_uniform", "after_hard"}
    assert generation["format_failures"] == {}  # nothing is sampled: responses train without titles
    assert set(row["lists"]) == {"id", "title", "beams", "mixup"} and row["mixup_validation"] == {}
    assert set(row["fusion"]) == {"known", "new"}
    lists = {"beams", "id", "title", "session", "neighbors", "words", "memory", "taken"}
    assert all(set(weights) == lists for weights in row["fusion"].values())
    stages = {"clip", "adapter", "responses", "title", "train_SASRecSampled", "total"}
    assert set(row["seconds"]) == stages and row["peak_memory_mb"] > 100


def test_a_run_without_memory_ends_with_its_table(shop, first, capsys):
    options = arguments(shop, "first", "LLMFashionRec", memory_products=0)
    assert main([*options[:2], f"--output={shop / 'no_memory'}", *options[3:]]) == 0
    assert results(shop, "no_memory")["LLMFashionRec"]["generation"]["clip"] == "not used"
    assert "CLIP not used, title pairs queries" in " ".join(capsys.readouterr().out.split())


def test_core_table_is_the_core_rows_table(first):
    assert first["SASRecSampled"]["stages_reused"] == ["train_SASRecSampled"]  # LLMFashionRec ran first and trained it


@pytest.mark.slow
def test_a_new_mixup_trains_and_generates_nothing(shop, first, monkeypatch):
    monkeypatch.setattr("recbole_llmfashion.stage_store.publish_folder", lambda *args: pytest.fail("made again"))
    rows = []
    for m in (1, 2):
        keys = {"ranking": "mixup", "mixup_m": m, "checkpoint_dir": shop / "saved_first"}
        assert main(arguments(shop, "again", "LLMFashionRec", **keys)) == 0
        rows.append(results(shop, "again")["LLMFashionRec"])
        assert set(rows[-1]["stages_reused"]) == set(rows[-1]["seconds"]) - {"total"}
    one, row = rows
    assert row["run"] != first["LLMFashionRec"]["run"] and Path(row["run"]).parent == shop / "saved_first/shoes/runs"
    assert row["mixup_validation"] == one["mixup_validation"] and len(row["mixup_validation"]) == 6
    assert row["lists"] == one["lists"] == {name: first["LLMFashionRec"]["lists"][name] for name in ("id", "title")}
    assert {m: one[m] for m in METRICS[:3]} == first["LLMFashionRec"]["lists"]["mixup"]
    assert row["valid"]["ndcg@10"] == row["mixup_validation"]["2"]["ndcg@10"]


@pytest.mark.slow
def test_stopped_in_the_middle_and_started_again(shop, first, monkeypatch):
    """Ctrl-C while the adapter trains: what was finished is not made again, and the metrics are the same."""

    def stopped(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job, "finetune", stopped)
        assert main(arguments(shop, "stopped", "LLMFashionRec")) == 2
    kept = {path.name.split("-")[0] for path in (shop / "saved_stopped/shoes/stages").glob("*-*")}
    assert kept == {"clip"}
    assert main(arguments(shop, "stopped", "LLMFashionRec")) == 0
    row = results(shop, "stopped")["LLMFashionRec"]
    assert set(row["stages_reused"]) == kept
    assert {m: row[m] for m in METRICS} == {m: first["LLMFashionRec"][m] for m in METRICS}
    assert row["lists"] == first["LLMFashionRec"]["lists"]


def test_nothing_of_ours_is_a_pickle(shop, first):
    suffixes = {path.suffix for path in (shop / "saved_first").rglob("*") if path.is_file()}
    assert suffixes <= {".lock", ".safetensors", ".json", ".yaml", ".parquet", ".md", ".jinja"}


@pytest.mark.slow
def test_killed_at_several_points_ends_with_the_same_metrics(shop, first):
    """SIGKILL as soon as one more stage is there, until the job ends by itself."""
    command = [sys.executable, str(ROOT / "run_recbole_llm.py"), *arguments(shop, "killed")]
    stages = shop / "saved_killed/shoes/stages"
    kills = 0
    while True:
        before = finished(stages)
        process = subprocess.Popen(command, cwd=shop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (kills < 4 and finished(stages) > before):
            time.sleep(0.02)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.returncode == 0 and kills >= 3
    killed = results(shop, "killed")
    for model, row in first.items():
        assert {m: killed[model][m] for m in METRICS} == {m: row[m] for m in METRICS}


def finished(stages: Path) -> int:
    return len(list(stages.glob("*/stage.json")))


def test_other_test_targets_change_no_artefact(shop):
    """Every stage, responses included, is found again after all test targets were replaced."""
    keys = {"click_filter": "none", "checkpoint_dir": shop / "saved_targets"}  # the paper's filter looks at targets
    assert main(arguments(shop, "targets", "LLMFashionRec", **keys)) == 0
    replace_test_targets(shop / "shoes", shop / "other/shoes")
    assert main(arguments(shop, "replaced", "LLMFashionRec", **keys, data_path=shop / "other")) == 0
    row = results(shop, "replaced")["LLMFashionRec"]
    assert set(row["stages_reused"]) == set(row["seconds"]) - {"total"}
    before = results(shop, "targets")["LLMFashionRec"]
    assert row["valid"] == before["valid"] and row["fusion"] == before["fusion"]  # the weights look at validation rows
    assert len({weight for weights in row["fusion"].values() for weight in weights.values()}) > 1
    before, after = (pd.read_parquet(shop / name / "ranks.parquet") for name in ("targets", "replaced"))
    assert (before["target"].to_numpy() != after["target"].to_numpy()).all()
