"""Metrics beyond accuracy in the tables of studies: RecBole's own, on the lists that the rows kept."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from recbole.evaluator.collector import DataStruct
from recbole.evaluator.metrics import AveragePopularity, GiniIndex, ItemCoverage

from recbole_llmfashion.data.loaders import rows_of
from recbole_llmfashion.study.compare import compare, entries
from recbole_llmfashion.study.report.beyond import add_beyond, beyond
from recbole_llmfashion.study.report.document import Value
from recbole_llmfashion.study.runner import Outcome, Runner
from tests.helpers.study import cells, fake_result, request_for

MODELS = "--models=Popularity,SeqKNN"
KEYS = ["itemcoverage@3", "giniindex@3", "averagepopularity@3"]


@pytest.fixture
def ran(shop):
    runner = Runner(request_for(shop, MODELS))
    runner.run(entries(runner.request.models))
    return runner


def by_recbole(runner, tops):
    """The three metrics by RecBole's classes alone, of lists of item tokens."""
    train = rows_of(runner.loaders("tiny").train)
    items = [[train.token2id(train.iid_field, item) for item in top] for top in tops]
    struct = DataStruct()
    struct.set("rec.items", torch.tensor(items))
    struct.set("data.num_items", train.item_num)
    struct.set("data.count_items", Counter(train.inter_feat[train.iid_field].tolist()))
    config = {"topk": [3], "metric_decimal_place": 6}
    found = {}
    for metric in (ItemCoverage, GiniIndex, AveragePopularity):
        found |= metric(config).calculate_metric(struct)
    return found


def test_they_are_recboles_on_the_same_lists(ran):
    table = beyond(ran.ran, ("ItemCoverage", "GiniIndex", "AveragePopularity"))
    assert [column.title for column in table.columns] == [
        "ItemCoverage@3", "GiniIndex@3", "AveragePopularity@3", "seconds", "ms per user",
    ]  # fmt: skip
    for label, outcomes in ran.ran.items():
        expected = by_recbole(ran, outcomes[0].result.ranks["top"])
        assert {key: cells(table, key)[label] for key in KEYS} == {key: Value(expected[key]) for key in KEYS}
    # by hand: three users get the same three of six items, and RecBole counts a seventh, the pad: 3 / 7;
    # counts 3, 3, 3 at places 5, 6, 7 of seven: (2 + 4 + 6) 3 / 9 / 7 = 4 / 7
    assert cells(table, KEYS[0])["Popularity"] == Value(0.428571)
    assert cells(table, KEYS[1])["Popularity"] == Value(0.571429)


def test_popularity_by_hand(ran):
    train = rows_of(ran.loaders("tiny").train)
    counts = Counter(train.id2token(train.iid_field, train.inter_feat[train.iid_field].numpy()))
    lists = [list(top) for top in ran.ran["SeqKNN"][0].result.ranks["top"]]
    expected = np.mean([sum(counts[item] for item in top) / 3 for top in lists])
    assert cells(beyond(ran.ran, ["AveragePopularity"]), KEYS[2])["SeqKNN"].mean == pytest.approx(expected, abs=1e-6)
    assert expected > 0


def test_compare_has_the_table_and_others_have_what_is_asked_for(shop, run_with):
    run_with({"Popularity": (1, 2, 3), "SeqKNN": (1, 1, 1)})

    def titles(study, *words):
        request = request_for(shop, MODELS, *words, study=study)
        runner = Runner(request)
        document = compare(request, runner)
        add_beyond(document, request, runner)
        return [table.title for table in document.tables]

    assert titles("compare")[-1] == "Beyond accuracy"
    assert "Beyond accuracy" not in titles("cold-start")
    assert titles("cold-start", "--metrics=[Recall,NDCG,GiniIndex]")[-1] == "Beyond accuracy"


def test_the_three_are_computed_once_beside_those_that_were_asked_for(shop):
    assert Runner(request_for(shop)).metrics == [
        "Recall", "NDCG", "MRR", "ItemCoverage", "GiniIndex", "AveragePopularity",
    ]  # fmt: skip
    asked = Runner(request_for(shop, "--metrics=[NDCG,giniindex]")).metrics
    assert asked == ["NDCG", "giniindex", "ItemCoverage", "AveragePopularity"]


def test_seconds_and_milliseconds():
    fast, slow = fake_result({"giniindex@10": 0.5}), fake_result({"giniindex@10": 0.7})
    fast.ms_per_user, slow.ms_per_user = 2.0, 4.0
    rows = {"a": [Outcome(1, fast), Outcome(2, slow)], "b": [Outcome(1, None, "no room")]}
    line, failed = beyond(rows, ["GiniIndex"]).rows
    assert line.cells["giniindex@10"] == Value(pytest.approx(0.6), pytest.approx(0.02**0.5))
    assert (line.cells["seconds"], line.cells["ms_per_user"], line.ranked) == (60.0, 3.0, False)
    assert failed.reason == "seed 1: no room"
    assert json.loads(json.dumps(rows["a"][0].as_json()))["ms_per_user"] == 2.0
