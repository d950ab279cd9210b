"""The files that a run writes."""

import dataclasses
import json

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.time_order import TimeOrder
from recbole_llmfashion.evaluation import result_table
from recbole_llmfashion.evaluation.result import Result

RUN = result_table.TableHeader("shoes", "ab" * 32, [5], "run_recbole_llm.py --model=CORE --dataset=shoes")


def result(ndcg=0.25, **details):
    ranks = pd.DataFrame({"user": ["u1", "u2"], "target": ["a", "b"], "rank": [1, 3], "top": [["a"], ["a"]]})
    metrics = {"recall@10": 0.5, "ndcg@10": ndcg, "mrr@10": 0.125, "mrr": 0.13}
    return Result(metrics, {"ndcg@10": 0.2}, ranks, {"train_CORE": 60.0, "total": 1.0}, ["train_CORE"], 100.0, details)


def test_files(tmp_path):
    rows = {"CORE": result(epochs=20, epochs_allowed=20), "SASRec": "ValueError: no"}
    result_table.write(tmp_path / "out", RUN, rows)
    document = json.loads((tmp_path / "out/results.json").read_text())
    assert document["dataset"] == "shoes" and document["data_sha256"] == "ab" * 32 and document["seeds"] == [5]
    assert document["models"]["CORE"]["status"] == "ok" and document["models"]["CORE"]["mrr"] == 0.13
    assert document["models"]["SASRec"] == {"status": "failed: ValueError: no"}
    assert {"recbole", "torch", "python"} <= set(document["versions"])
    table = (tmp_path / "out/table.md").read_text()
    assert "| CORE | 0.5000 | 0.2500 | 0.1250 | 0.1300 | 20 of 20 | 1.0 |" in table
    assert "| SASRec | failed | failed | failed | failed |  |  |" in table
    assert "CORE ran all 20 epochs that its YAML allows" in table and "ValueError: no" in table and RUN.command in table
    ranks = pd.read_parquet(tmp_path / "out/ranks.parquet")
    assert ranks.columns.tolist() == ["model", "seed", "user", "target", "rank", "top"]
    assert ranks.drop(columns="top").to_numpy().tolist() == [["CORE", 5, "u1", "a", 1], ["CORE", 5, "u2", "b", 3]]


def test_tuned_notes():
    rows = {"CORE": result(tuned=True), "SASRec": result(tuned=True), "GRU4Rec": result(tuned=False)}
    table = result_table.table(RUN, rows)
    assert "- Tuned on validation (properties/tuned/shoes/): CORE, SASRec.\n" in table
    assert "- Not tuned (no such file): GRU4Rec.\n" in table
    assert "uned" not in result_table.table(RUN, {"CORE": result()})


def test_targets_that_the_masked_history_holds_are_said_once():
    line = "- 2 of 1,280 test targets are in the user's own history, which mask_history leaves out of the ranking: "
    row = result(mask_history=True, rows={"test": 1280, "test_masked": 2})
    table = result_table.table(RUN, {"CORE": row, "SASRec": row})
    assert table.count(line + "they cannot be found.\n") == 1
    assert "cannot be found" not in result_table.table(RUN, {"CORE": result(rows={"test": 1280})})


def test_a_backbone_that_has_seen_the_data_is_named():
    seen, other = {"ab" * 32: "shoes"}, {"cd" * 32: "hats"}
    rows = {"A": result(backbone_seen=seen | other), "B": result(backbone_seen=other), "C": result()}
    assert "- Pre-trained on the training rows of this dataset too: the backbone of A.\n" in result_table.table(
        RUN, rows
    )
    assert "Pre-trained" not in result_table.table(RUN, {"B": rows["B"], "C": rows["C"]})


def test_the_order_of_the_data(tmp_path):
    order = TimeOrder(10, 0.5, 0.1, 0.25, 0.125)
    run = dataclasses.replace(RUN, time_order=order.entry(), warnings=order.warnings())
    result_table.write(tmp_path, run, {"CORE": result()})
    assert json.loads((tmp_path / "results.json").read_text())["time_order"] == {
        "customers": 10, "sorted_by_item": 0.5, "sorted_by_chance": 0.1, "equal_times": 0.25, "before_1973": 0.125,
    }  # fmt: skip
    table = (tmp_path / "table.md").read_text()
    assert "- warning: 50.0% of the customers" in table and "- warning: 25.0% of neighbouring actions" in table
    assert "- warning: 12.5% of the timestamps are before 1973" in table
    assert "warning" not in result_table.table(RUN, {"CORE": result()})


def test_nan_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        result_table.write(tmp_path, RUN, {"CORE": result(ndcg=float("nan"))})


def test_columns_and_notes():
    row = result(epochs=3, epochs_allowed=20, sources={"id": 0.75, "memory": 0.25}, mask_history=True)
    row.metrics["hit@10"] = 0.5
    lines = result_table.table(RUN, {"CORE": row}).splitlines()
    assert lines[0] == "| shoes | recall@10 | ndcg@10 | mrr@10 | mrr | hit@10 | epochs | minutes |"
    assert lines[2] == "| CORE | 0.5000 | 0.2500 | 0.1250 | 0.1300 | 0.5000 | 3 of 20 | 1.0 |"
    assert lines[4] == "- CORE, source of the first item of each list: id 75.0%, memory 25.0%."
    assert "history masked" in lines[5] and lines[6].startswith("- data sha256 abababababababab, seed 5, command: run_")


def test_milliseconds_per_user_and_how_the_metrics_count(tmp_path):
    row = result(mask_history=True)
    row.ms_per_user = 1.5
    result_table.write(tmp_path, RUN, {"CORE": row, "SASRec": result(), "GRU4Rec": "ValueError: no"})
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[0] == "| shoes | recall@10 | ndcg@10 | mrr@10 | mrr | epochs | minutes | ms/user |"
    assert lines[2].endswith("|  | 1.0 | 1.50 |") and lines[3].endswith("|  | 1.0 |  |")
    assert lines[4] == "| GRU4Rec | failed | failed | failed | failed |  |  |  |"
    counts = "A hit is the item itself, all items are ranked, history masked in some rows and not in others."
    assert counts in lines[7]
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["models"]["CORE"]["ms_per_user"] == 1.5 and "ms_per_user" not in document["models"]["SASRec"]
    assert document["protocol"] == {
        "hit": "item", "ranked": "all items", "history": "masked in some rows and not in others",
    }  # fmt: skip


def test_a_run_without_test_rows_shows_its_validation_rows():
    row = result(epochs=3, epochs_allowed=20)
    row.metrics = {}
    lines = result_table.table(RUN, {"CORE": row, "SASRec": "ValueError: no"}).splitlines()
    assert lines[0] == "| shoes | ndcg@10 | epochs | minutes |"
    assert lines[2:4] == ["| CORE | 0.2000 | 3 of 20 | 1.0 |", "| SASRec | failed |  |  |"]
    assert lines[6].startswith("- Validation rows (there are no test rows): the final purchase of each user. A hit")
    assert "Validation rows" not in result_table.table(RUN, {"SASRec": "ValueError: no"})
