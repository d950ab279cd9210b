"""Metrics on cold and warm targets."""

import pytest

from recbole_llmfashion.study import (
    cold_start,
)
from recbole_llmfashion.study.report.document import Value
from recbole_llmfashion.study.runner import Outcome, Runner
from tests.helpers.study import TARGETS, cells, request_for, result_of


def test_cold_targets(shop, run_with):
    """u1 trains on 11 12 13 (14 is valid, 16 test), u3 on 16 11; u2 has two actions and no training row."""
    run_with({"SASRec": (1, 2, 3)})
    request = request_for(shop, "--models=SASRec", "--plus_cold=False", study="cold-start")
    runner = Runner(request)
    assert cold_start.seen_items(runner, "tiny") == {"11", "12", "13", "16"}
    document = cold_start.cold_start(request, runner)
    cold, warm, counts = document.tables
    assert "One hit among the 1 cold targets is 1.0000 of their Recall@10." in document.notes
    assert cells(cold, "mrr") == {"SASRec": Value(pytest.approx(1 / 3))}  # item 14 of u3
    assert cells(warm, "mrr") == {"SASRec": Value(pytest.approx(0.75))}
    assert cells(counts, "count") == {
        "cold test targets": 1, "warm test targets": 2, "items of the catalogue never seen in training": 2,
    }  # fmt: skip


def test_plus_cold_entries():
    made = cold_start.plus_cold(("SASRec", "Recformer", "CORE"))
    assert [(entry.label, entry.model, entry.keys) for entry in made] == [
        ("SASRec+cold", "SASRec", {"cold_token": True}),
        ("CORE+cold", "CORE", {"cold_token": True}),
    ]


def test_no_cold_target():
    line = cold_start.part_row("x", [Outcome(1, result_of((1, 2, 3)))], set(TARGETS.values()), False)
    assert line.reason == "no such test row"
