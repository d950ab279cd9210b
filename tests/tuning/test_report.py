"""Output files of a search, from a trial log written by hand."""

import pandas as pd
import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.tuning import report
from recbole_llmfashion.tuning.trial_log import FAILED, FINISHED, STOPPED, TrialLog
from tests.helpers.tuning import hand_written_log

KEYS = ["learning_rate", "train_targets"]


@pytest.fixture
def journal(tmp_path):
    return hand_written_log(tmp_path)


HEADER = report.Header(
    model="SASRec", dataset="shoes", metric="NDCG@10", bigger=True, trials=5,
    default={"learning_rate": 0.001, "train_targets": "all"},
    command="run_hyper.py --model=SASRec", data_sha256="abcdef0123456789ffff", seed=7,
)  # fmt: skip


def test_table(journal):
    text = report.table(HEADER, journal, KEYS)
    assert text.splitlines()[:8] == [
        "| trial | NDCG@10 (validation) | status | reports | minutes | learning_rate | train_targets |",
        "|---|---|---|---|---|---|---|",
        "| 3 (best) | 0.0300 | finished | 1 | 1.0 | 0.003 | all |",
        "| 0 (default) | 0.0200 | finished | 2 | 1.5 | 0.001 | all |",
        "| 1 | 0.0400 | stopped after report 1 | 1 | 0.5 | 0.01 | purchase |",
        "| 2 |  | failed | 0 | 0.1 | 0.1 | all |",
        "| 4 |  | did not end | 0 | 0.0 | 0.002 | all |",
        "",
    ]
    assert "4 of 5 trials ended" in text and "best: trial 3 with NDCG@10 0.0300, the defaults have 0.0200" in text
    assert "trial 2 failed: ValueError: no" in text and "data sha256 abcdef0123456789, seed 7" in text


def test_folder(journal, tmp_path):
    report.write(tmp_path, HEADER, journal, KEYS)
    frame = pd.read_parquet(tmp_path / "trials.parquet").set_index("trial")
    assert frame.loc[[0, 1, 2, 3, 4], "status"].tolist() == [FINISHED, STOPPED, FAILED, FINISHED, "did not end"]
    assert frame.loc[3, "key/learning_rate"] == "0.003" and frame.loc[0, "valid/ndcg@10"] == 0.02
    assert (tmp_path / "trial_2_error.txt").read_text() == "ValueError: no"
    best = tmp_path / "best.yaml"
    assert read_yaml(best) == {"learning_rate": 0.003, "train_targets": "all"}
    assert "# run_hyper.py --model=SASRec\n" in best.read_text()
    config = load_config(get_model("SASRec").model, "shoes", [str(best)])
    assert config["learning_rate"] == 0.003 and config["train_targets"] == "all"


def test_no_trial_finished(tmp_path):
    log = TrialLog(tmp_path / "journal.jsonl")
    log.add("start", 0, keys={"learning_rate": 1.0, "train_targets": "all"})
    log.add("end", 0, status=FAILED, value=float("nan"), seconds=1.0, details={"error": "x"})
    report.write(tmp_path, HEADER, log, KEYS)
    assert not (tmp_path / "best.yaml").exists()
    assert "none finished, so there is no best.yaml" in (tmp_path / "table.md").read_text()
