"""From a journal written by hand to the table, the parquet, best.yaml and the figure."""

import pandas as pd
import pytest
from PIL import Image

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.tuning import figures, report
from recbole_llmfashion.tuning.space import Domain, Space
from recbole_llmfashion.tuning.trial_log import FAILED, FINISHED, STOPPED, TrialLog

KEYS = ["learning_rate", "train_targets"]


@pytest.fixture
def journal(tmp_path):
    made = TrialLog(tmp_path / "journal.jsonl")
    made.add("start", 0, keys={"learning_rate": 0.001, "train_targets": "all"})
    made.add("report", 0, step=1, value=0.01)
    made.add("start", 1, keys={"learning_rate": 0.01, "train_targets": "purchase"})
    made.add("report", 1, step=1, value=0.04)
    made.add("report", 0, step=2, value=0.02)
    details = {"valid": {"ndcg@10": 0.02}, "threads": 1, "stages_reused": ["clip"]}
    made.add("end", 0, status=FINISHED, value=0.02, seconds=90.0, details=details)
    made.add("end", 1, status=STOPPED, value=0.04, seconds=30.0, details={})
    made.add("start", 2, keys={"learning_rate": 0.1, "train_targets": "all"})
    made.add("end", 2, status=FAILED, value=float("nan"), seconds=6.0, details={"error": "ValueError: no"})
    made.add("start", 3, keys={"learning_rate": 0.003, "train_targets": "all"})
    made.add("report", 3, step=1, value=0.03)
    made.add("end", 3, status=FINISHED, value=0.03, seconds=60.0, details={"valid": {"ndcg@10": 0.03}})
    made.add("start", 4, keys={"learning_rate": 0.002, "train_targets": "all"})
    return made


HEADER = report.Header(
    model="SASRec", dataset="shoes", metric="NDCG@10", bigger=True, trials=5,
    default={"learning_rate": 0.001, "train_targets": "all"},
    command="run_hyper.py --model=SASRec", data_sha256="abcdef0123456789ffff", seed=7,
)  # fmt: skip


def test_the_best_is_one_that_finished(journal):
    """Trial 1 has the highest value and was stopped: it was judged on less than the others."""
    assert journal.best().number == 3 and journal.best(bigger=False).number == 0
    assert [t.number for t in journal.ended()] == [0, 1, 2, 3]
    assert [t.number for t in journal.unfinished()] == [4]


def test_equal_values_leave_the_first(tmp_path):
    made = TrialLog(tmp_path / "journal.jsonl")
    for number in (1, 0):
        made.add("start", number, keys={})
        made.add("end", number, status=FINISHED, value=0.5, seconds=1.0, details={})
    assert made.best().number == 0


def test_a_journal_cut_in_the_middle_of_a_line(journal):
    path = journal.path
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "end", "trial": 4, "sta')
    again = TrialLog(path)
    assert [t.number for t in again.unfinished()] == [4] and again.trials[0].reports == journal.trials[0].reports
    assert again.elapsed() >= max(t for trial in journal.trials.values() for t, *_ in trial.reports)
    again.add("report", 4, step=1, value=0.5)
    assert path.read_bytes().startswith(whole + b'{"event": "report", "trial": 4')
    assert path.read_bytes().count(b"\n") == whole.count(b"\n") + 1


def test_a_trial_that_starts_again_loses_what_it_had_reported(journal):
    journal.add("report", 4, step=1, value=0.5)
    journal.add("start", 4, keys={"learning_rate": 0.002, "train_targets": "all"})
    assert journal.trials[4].reports == []


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
    made = TrialLog(tmp_path / "journal.jsonl")
    made.add("start", 0, keys={"learning_rate": 1.0, "train_targets": "all"})
    made.add("end", 0, status=FAILED, value=float("nan"), seconds=1.0, details={"error": "x"})
    report.write(tmp_path, HEADER, made, KEYS)
    assert not (tmp_path / "best.yaml").exists()
    assert "none finished, so there is no best.yaml" in (tmp_path / "table.md").read_text()


SPACE = Space(
    {
        "learning_rate": Domain("loguniform", low=1e-3, high=1e-1),
        "train_targets": Domain("choice", values=("all", "purchase")),
    }
)


def test_places_on_an_axis():
    assert figures.place(SPACE.domains["learning_rate"], 1e-2) == pytest.approx(0.5)
    assert figures.place(SPACE.domains["train_targets"], "purchase") == 1.0
    assert figures.place(Domain("choice", values=([1], [2], [3])), [2]) == 0.5
    assert figures.place(Domain("choice", values=(5,)), 5) == 0.0


@pytest.mark.parametrize("some", [True, False])
def test_figure_is_drawn_whatever_there_is(journal, tmp_path, some):
    trials = list(journal.trials.values()) if some else []
    figures.draw(tmp_path / "search.png", SPACE, trials, "NDCG@10", True)
    image = Image.open(tmp_path / "search.png").convert("L")
    dark = sum(image.histogram()[:128])
    assert image.width > 600 and dark > (2_000 if some else 500)
