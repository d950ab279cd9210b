"""The comparison of all models."""

import json
import re

import pytest

from recbole_llmfashion.study import (
    compare,
)
from recbole_llmfashion.study.report.document import TableRow, Value
from recbole_llmfashion.study.request import MODELS
from recbole_llmfashion.study.runner import Runner
from tests.helpers.fakes import INTER, SEARCH, write_tiny
from tests.helpers.study import cells, request_for

RANKS = {"LLMFashionRec": (1, 1, 4), "CORE": (1, 2, 20), "SASRec": (3, 3, 3), "Popularity": (5, 6, 6)}


def test_compare_by_hand(shop, run_with):
    run_with(RANKS, epochs=20, epochs_allowed=20)
    request = request_for(shop, f"--models={','.join([*RANKS, 'GRU4Rec'])}")
    runner = Runner(request)
    document = compare.compare(request, runner)
    table, improvement, gains, significance = document.tables
    assert cells(table, "recall@10")["CORE"] == Value(pytest.approx(2 / 3))
    assert cells(table, "mrr")["LLMFashionRec"] == Value(pytest.approx((1 + 1 + 0.25) / 3))
    assert table.rows[-1] == TableRow("GRU4Rec", reason="seed 2020: ValueError: not here")
    assert table.rows[0].cells["epochs"] == "20 of 20" and table.rows[0].cells["minutes"] == 1.0
    assert "Ran all epochs" in document.notes[1] and "CORE" in document.notes[1]
    # MRR: ours .75, CORE (1 + .5 + .05) / 3, SASRec 1 / 3
    gain = {row.label: row.cells for row in improvement.rows}["MRR"]
    assert (gain["best"], gain["gain"]) == ("CORE", pytest.approx(100 * (0.75 / (1.55 / 3) - 1)))
    over = {row.label: row.cells for row in gains.rows}
    assert list(over) == [f"LLMFashionRec over {name}" for name in RANKS if name != "LLMFashionRec"]
    assert over["LLMFashionRec over CORE"]["mrr"] == gain["gain"]
    assert over["LLMFashionRec over SASRec"]["mrr"] == pytest.approx(125)
    assert {row.label for row in significance.rows} == {"CORE", "SASRec", "Popularity"}
    assert len(significance.rows) == 6
    assert {len(entries) for entries in document.models.values()} == {1}
    assert json.loads(json.dumps(document.as_json(), allow_nan=False))
    assert document.models["GRU4Rec"][0]["status"] == "failed: ValueError: not here"


def test_the_document_says_how_far_the_next_item_can_be_trusted(tmp_path, run_with):
    inter = "\n".join(re.sub(r"\b17\d{8}$", "1700000000", line) for line in INTER.splitlines()) + "\n"
    write_tiny(tmp_path, inter, SEARCH.splitlines()[0] + "\n")
    run_with(RANKS)
    request = request_for(tmp_path, f"--models={','.join(RANKS)}")
    document = compare.compare(request, Runner(request)).as_json()
    assert document["data"]["tiny"]["time_order"]["equal_times"] == 1.0
    assert any(note.startswith("tiny: warning: 100.0% of neighbouring actions share") for note in document["notes"])


def test_all_models_are_compared():
    assert [entry.label for entry in compare.entries(MODELS)] == [
        "GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE", "Recformer", "Recformer w/ query", "LLMFashionRec",
        "TextSASRec", "TextKNN", "Fusion", "Popularity", "SeqKNN", "QueryMemory",
    ]  # fmt: skip
