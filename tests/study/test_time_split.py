"""Availability of items, and both protocols."""

import pandas as pd
import pytest
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.study import (
    compare,
    time_split,
)
from recbole_llmfashion.study.runner import Runner
from recbole_llmfashion.study.time_split import repeated_targets
from tests.helpers.fakes import INTER, write_tiny
from tests.helpers.study import cells, request_for


def test_future_items_by_hand():
    ranks = pd.DataFrame({"user": ["a", "b"], "top": [["i", "j"], ["k", "never"]]})
    available = pd.Series({"i": 10.0, "j": 20.0, "k": 5.0, "never": float("nan")})
    # user a at time 15: j comes later; user b at time 30: `never` has no known time
    assert time_split.future_rate(ranks, {"a": 15, "b": 30}, available) == 0.5
    assert time_split.future_rate(ranks, {"a": 20, "b": 30}, available) == 0.25


def test_the_first_ten_ranks_count():
    available = pd.Series({"old": 1.0, "new": 9.0})
    ranks = pd.DataFrame({"user": ["a"], "top": [["old"] * 9 + ["new"] * 11]})
    assert time_split.future_rate(ranks, {"a": 5}, available) == pytest.approx(0.1)


def test_first_available():
    events = pd.DataFrame({"item_id": ["i", "i", "j"], "timestamp": [7.0, 3.0, 9.0]})
    items = pd.DataFrame({"item_id": ["i", "j", "k"]})
    assert time_split.first_available(events, items).to_dict() == {
        "i": 3.0,
        "j": 9.0,
        "k": pytest.approx(float("nan"), nan_ok=True),
    }
    items["available_from"] = [1.0, float("nan"), 2.0]
    assert time_split.first_available(events, items).to_dict() == {"i": 1.0, "j": 9.0, "k": 2.0}


def test_order_without_dates(tmp_path, run_with):
    from tests.helpers.fakes import purchases_only

    run_with({})
    purchases_only(tmp_path, 5, 6, 4, name="tiny")
    request = request_for(tmp_path, "--models=SASRec", study="time-split")
    document = time_split.time_split(request, Runner(request))
    assert [row.reason[:14] for row in document.tables[0].rows] == ["not applicable"] * 3


def test_the_note_about_the_backbone_needs_a_row_with_it(tmp_path, run_with):
    write_tiny(tmp_path)
    run_with({"SASRec": (1, 2, 3), "LLMFashionRec": (1, 2, 3)})
    for models, expected in (("SASRec", 0), ("SASRec,LLMFashionRec", 1)):
        request = request_for(tmp_path, f"--models={models}")
        notes = compare.compare(request, Runner(request)).notes
        assert sum(note.startswith("The tiny-falcon backbone of LLMFashionRec") for note in notes) == expected


def test_log_without_clicks(tmp_path, run_with):
    row = "u{}\t{}\tpurchase\t{}\n"
    buys = "".join(row.format(u, 11 + (u + t) % 6, 1701000000 + 100 * (t // 2 + u)) for u in range(8) for t in range(4))
    write_tiny(tmp_path, INTER.splitlines()[0] + "\n" + buys, "")
    run_with({"SASRec": (1, 2, 3)})
    request = request_for(tmp_path, "--models=SASRec", study="time-split")
    runner = Runner(request)
    runs = [entry.label for entry in compare.entries(request.models)]
    document = time_split.time_split(request, runner)
    assert document.tables[-2].rows[0].reason == "not applicable: the log has no clicks to filter"
    equal = cells(document.tables[-1], "share")["neighbouring actions of a user that share a timestamp"]
    assert equal == 2 / 3  # of each user's four rows, the first two and the last two have equal times
    assert set(runner.ran) == {f"{label}, {protocol}" for label in runs for protocol in ("leave-one-out", "time split")}


def test_all_protocols(shop, run_with):
    run_with({"SASRec": (1, 2, 3)})
    request = request_for(shop, "--models=SASRec", "--time_split=[0.3, 0.6]", study="time-split")
    document = time_split.time_split(request, Runner(request))
    assert [table.title for table in document.tables] == [*time_split.PROTOCOLS, "The log"]
    facts = cells(document.tables[-1], "share")
    assert facts["neighbouring actions of a user that share a timestamp"] == 0.0
    assert facts["targets in their own history, leave-one-out"] == 0.0


@pytest.mark.parametrize(
    ("names", "history"), [({}, "item_id_list"), ({"LIST_SUFFIX": "_x"}, "item_id_x")], ids=["RecBole's", "own"]
)
def test_repeated_targets(tmp_path, names, history):
    """In one of three test rows the user bought the target before."""
    write_tiny(tmp_path, inter=INTER.replace("u2\t13\tpurchase", "u2\t12\tpurchase"))
    config = load_config(SASRec, "tiny", overrides={"data_path": str(tmp_path), "topk": [3], **names})
    test = make_loaders(config).test._dataset
    rows = dict(test.model_inputs())
    assert rows[history][1][:1].tolist() == [rows["item_id"][1]]
    assert repeated_targets(test) == 1 / 3
