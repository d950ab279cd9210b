"""Cells, costs and ranks of rows."""

import json
from dataclasses import replace

import pytest

from recbole_llmfashion.evaluation.result_table import counting, protocol
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import TableRow, Value
from recbole_llmfashion.study.runner import Outcome
from tests.helpers.study import fake_result


def test_mean_and_deviation_over_seeds():
    outcomes = [Outcome(seed, fake_result({"recall@10": value})) for seed, value in ((1, 0.1), (2, 0.2), (3, 0.6))]
    cell = assemble.row("x", outcomes, ["recall@10"]).cells["recall@10"]
    assert cell == Value(pytest.approx(0.3), pytest.approx(0.07**0.5))  # (.04 + .01 + .09) / 2 = .07
    assert assemble.row("x", outcomes[:1], ["recall@10"]).cells["recall@10"] == Value(0.1)
    assert json.dumps(outcomes[0].as_json())


def result(**details):
    made = fake_result({"recall@10": 0.5, "ndcg@10": 0.25, "mrr@10": 0.2, "mrr": 0.2}, **details)
    return [Outcome(1, made)]


def test_costs():
    rows = {"a": result(epochs=3, epochs_allowed=20), "b": result(), "c": [Outcome(1, None, "no room")]}
    first, second, third = assemble.with_costs(rows)
    assert [first.cells[key] for key in ("epochs", "minutes", "memory")] == ["3 of 20", 1.0, 100]
    assert second.cells["epochs"] is None and third == TableRow("c", reason="seed 1: no room")


def test_the_note_on_memory_stands_below_the_column():
    (ran,) = result()
    rows = {"a": [Outcome(1, replace(ran.result, reused=["title", "clip"]))], "b": [ran]}
    table = assemble.cost_table("t", rows, assemble.with_costs(rows), ["first"])
    assert [column.title for column in table.columns][-1] == "peak MB"
    assert table.notes == ["first", "peak MB is without the stages that were reused: a (clip, title)."]
    assert assemble.cost_table("t", {"b": [ran]}, []).notes == []


def test_gain_and_best_other():
    lines = [TableRow(name, {"mrr": Value(mean)}) for name, mean in (("a", 0.2), ("b", 0.4), ("c", 0.3))]
    assert assemble.best_other(lines, "b", "mrr") == ("c", 0.3)
    assert assemble.best_other(lines[:1], "a", "mrr") is None
    assert assemble.gain(0.3, 0.2) == pytest.approx(50) and assemble.gain(0.3, 0) is None


def test_all_ranks():
    frame = assemble.all_ranks({"a": result(), "b": [Outcome(1, None, "no room")]})
    assert frame.columns.tolist() == ["model", "seed", "user", "target", "rank", "top"]
    assert frame[["model", "seed", "user", "rank"]].to_numpy().tolist() == [
        ["a", 1, "u1", 1],
        ["a", 1, "u2", 2],
        ["a", 1, "u3", 3],
    ]
    assert assemble.all_ranks({}).columns.tolist() == frame.columns.tolist()


def test_nested_details():
    outcomes = [*result(generation={"lists": {"id": 0.5}}), *result(generation={}), *result()]
    assert assemble.details(outcomes, "generation", "lists", "id") == [0.5]


@pytest.mark.parametrize(
    ("masked", "words"),
    [
        ([False, False], "history not masked."),
        ([True, True], "history masked."),
        ([True, False], "history masked in some rows and not in others."),
        ([], "history not masked."),
    ],
)
def test_whether_the_history_was_masked(masked, words):
    rows = {f"row {i}": result(mask_history=True) if one else result() for i, one in enumerate(masked)}
    ran = [one for outcomes in rows.values() for one in assemble.results(outcomes)]
    assert counting(ran) == f"A hit is the item itself, all items are ranked, {words}"
    assert protocol(ran) == {"hit": "item", "ranked": "all items", "history": words[8:-1]}
