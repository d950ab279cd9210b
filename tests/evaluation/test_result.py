"""Entries of results.json."""

import json

import pandas as pd

from recbole_llmfashion.evaluation.result import Result, model_entry


def test_entry_of_a_result():
    seconds, reused = {"train_CORE": 60.12345, "total": 1.0}, ["train_CORE"]
    result = Result({"mrr": 0.5}, {"ndcg@10": 0.25}, pd.DataFrame(), seconds, reused, 100.26, {"epochs": 3})
    entry = model_entry(result)
    assert entry == {
        "status": "ok",
        "mrr": 0.5,
        "valid": {"ndcg@10": 0.25},
        "seconds": {"train_CORE": 60.123, "total": 1.0},
        "stages_reused": ["train_CORE"],
        "peak_memory_mb": 100.3,
        "epochs": 3,
    }
    assert list(json.loads(json.dumps(entry))) == list(entry)


def test_entry_of_a_failure():
    assert model_entry("ValueError: no") == {"status": "failed: ValueError: no"}
