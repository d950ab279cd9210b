import json
import mmap

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.evaluation import result_table
from recbole_llmfashion.evaluation.result import Result
from recbole_llmfashion.quick_start.peak_memory import PeakMemory

RUN = result_table.TableHeader("shoes", "ab" * 32, [5], "run_recbole_llm.py --model=CORE --dataset=shoes")


def result(ndcg=0.25, **details):
    ranks = pd.DataFrame({"user": ["u1", "u2"], "target": ["a", "b"], "rank": [1, 3], "top": [["a"], ["a"]]})
    metrics = {"recall@10": 0.5, "ndcg@10": ndcg, "mrr@10": 0.125, "mrr": 0.13}
    return Result(metrics, {"ndcg@10": 0.2}, ranks, {"train_CORE": 60.0, "total": 1.0}, ["train_CORE"], 100.0, details)


def test_files_and_table_agree(tmp_path):
    rows = {"CORE": result(epochs=20, epochs_allowed=20), "SASRec": "ValueError: no"}
    result_table.write(tmp_path / "out", RUN, rows)
    document = json.loads((tmp_path / "out/results.json").read_text())
    assert document["dataset"] == "shoes" and document["data_sha256"] == "ab" * 32 and document["seeds"] == [5]
    assert document["models"]["CORE"]["status"] == "ok" and document["models"]["CORE"]["mrr"] == 0.13
    assert document["models"]["SASRec"] == {"status": "failed: ValueError: no"}
    assert {"recbole", "torch", "python"} <= set(document["versions"])
    table = (tmp_path / "out/table.md").read_text()
    assert "| CORE | 0.5000 | 0.2500 | 0.1250 | 0.1300 | 20 of 20 | 1.0 |" in table
    assert "| SASRec | failed | failed | failed | failed | | |" in table
    assert "CORE is bounded" in table and "ValueError: no" in table and RUN.command in table
    ranks = pd.read_parquet(tmp_path / "out/ranks.parquet")
    assert ranks.columns.tolist() == ["model", "seed", "user", "target", "rank", "top"]
    assert ranks.drop(columns="top").to_numpy().tolist() == [["CORE", 5, "u1", "a", 1], ["CORE", 5, "u2", "b", 3]]


def test_the_table_says_which_rows_are_tuned():
    rows = {"CORE": result(tuned=True), "SASRec": result(tuned=True), "GRU4Rec": result(tuned=False)}
    table = result_table.table(RUN, rows)
    assert "- Tuned on validation, by properties/tuned/shoes/: CORE, SASRec.\n" in table
    assert "- Not tuned, for there is no such file: GRU4Rec.\n" in table
    assert "uned" not in result_table.table(RUN, {"CORE": result()})


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        result_table.write(tmp_path, RUN, {"CORE": result(ndcg=float("nan"))})


def test_freed_memory_is_given_back_before_the_next_model():
    rows = [np.ones(12_000) for _ in range(3000)]  # below malloc's mmap threshold: freed, it stays resident
    keep = rows[-1]
    with PeakMemory() as full:
        full._sample()
    del rows
    with PeakMemory() as after:
        pass
    assert after.megabytes < full.megabytes - 200 and len(keep)


def test_peak_memory_is_of_the_stretch_not_of_the_process():
    with PeakMemory() as before:
        pass
    # fresh pages: freed ones of earlier tests would already be resident
    with PeakMemory() as large, mmap.mmap(-1, 200 * 2**20) as block:
        block.write(b"x" * len(block))
        large._sample()
    with PeakMemory() as after:
        pass
    assert large.megabytes > before.megabytes + 150
    assert after.megabytes < large.megabytes - 100
