import json

import pandas as pd
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import TableRow, Value
from recbole_llmfashion.study.runner import Entry, Outcome, Runner
from tests.helpers.command_lines import study_request
from tests.helpers.study import fake_result, request_for


def test_a_row_runs_once_whatever_study_asks(shop, runs):
    entry = Entry("SASRec", "SASRec")
    first = Runner(request_for(shop)).run([entry])["SASRec"][0]
    again = Runner(request_for(shop, study="cold-start")).run([Entry("another name", "SASRec")])["another name"][0]
    assert len(runs) == 1
    assert first.result.metrics == again.result.metrics
    pd.testing.assert_frame_equal(
        first.result.ranks.drop(columns="top"), again.result.ranks.drop(columns="top"), check_dtype=False
    )
    assert [list(top) for top in first.result.ranks["top"]] == [list(top) for top in again.result.ranks["top"]]


@pytest.mark.parametrize(
    "other",
    [
        Entry("x", "SASRec", {"learning_rate": 0.5}),
        Entry("x", "SASRec", {"train_share": 0.5}),
        Entry("x", "SASRec", {"topk": [5]}),
        Entry("x", "GRU4Rec"),
    ],
)
def test_another_key_or_model_is_another_row(shop, runs, other):
    runner = Runner(request_for(shop))
    runner.run([Entry("SASRec", "SASRec"), other])
    assert len(runs) == 2


def test_keys_of_core_reach_the_rows_of_ours(shop, runs):
    runner = Runner(request_for(shop))
    runner.run([Entry("a", "LLMFashionRec"), Entry("b", "LLMFashionRec", {"sess_dropout": 0.5})])
    assert len(runs) == 2


def test_where_things_lie_and_progress_bars_are_no_part_of_a_row(shop, runs):
    runner = Runner(request_for(shop))
    runner.run([Entry("a", "SASRec"), Entry("b", "SASRec", {"show_progress": True, "state": "ERROR"})])
    assert len(runs) == 1


def test_each_seed_is_a_run_and_the_first_is_the_key_seed(shop, runs):
    outcomes = Runner(request_for(shop, "--seeds=3", "--seed=7")).run([Entry("SASRec", "SASRec")])["SASRec"]
    assert [outcome.seed for outcome in outcomes] == [7, 8, 9] == [seed for _, seed in runs]


def test_a_failed_row_says_why_and_is_tried_again(shop, monkeypatch):
    calls = []

    def fail(config):
        calls.append(1)
        raise ValueError("no\nroom") if len(calls) == 1 else UserError("mend this")

    monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", fail)
    runner = Runner(request_for(shop))
    first = runner.run([Entry("SASRec", "SASRec")])["SASRec"]
    assert (first[0].result, first[0].reason) == (None, "ValueError: no room")
    assert runner.run([Entry("SASRec", "SASRec")])["SASRec"][0].reason == "mend this"
    assert assemble.row("SASRec", first) == TableRow("SASRec", reason="seed 2020: ValueError: no room")
    assert first[0].as_json() == {"seed": 2020, "status": "failed: ValueError: no room"}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry("x", "SASRek"), "did you mean 'SASRec'"),
        (Entry("x", "SASRec", {"learning_rat": 1}), "did you mean 'learning_rate'"),
        (Entry("x", "LLMFashionRec", {"decoding": "both"}), "decoding: expected one of"),
        (Entry("x", "SASRec", dataset="nowhere"), "unknown dataset 'nowhere'"),
    ],
)
def test_what_is_wrong_is_found_before_anything_runs(shop, runs, entry, said):
    with pytest.raises(UserError, match=said):
        Runner(request_for(shop)).run([Entry("ok", "SASRec"), entry])
    assert runs == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing option '--dataset' / '-d'"),
        (["--dataset=x", "--seeds=0"], ", found '0'; see `prog study compare --help`"),
        (["--dataset=x", "--seeds=two"], ", found 'two'; see"),
        (["--dataset=x", "oops"], "expected --key=value, found 'oops'; see prog study compare --help"),
        (["--dataset=x", "--dataset=y"], "--dataset is given twice"),
        (["--dataset=x", "-d", "y"], "--dataset is given twice"),
        (["--dataset=x", "--epochs"], "--epochs needs a value"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(UserError) as raised:
        study_request("compare", words)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_words_of_a_study():
    request = study_request("zero-shot", ["--source=a", "--targets=b,c", "--use_tuned=False", "--epochs=3"])
    assert (request.dataset, request.options["targets"]) == ("a", "b,c")
    assert request.overrides == {"use_tuned": False, "epochs": 3}
    assert str(request.output) == "results/a-zero-shot"
    with pytest.raises(UserError, match="study zero-shot: Missing option '--targets'"):
        study_request("zero-shot", ["--source=a"])


def test_mean_and_deviation_over_seeds_by_hand():
    outcomes = [Outcome(seed, fake_result({"recall@10": value})) for seed, value in ((1, 0.1), (2, 0.2), (3, 0.6))]
    cell = assemble.row("x", outcomes, ["recall@10"]).cells["recall@10"]
    assert cell == Value(pytest.approx(0.3), pytest.approx(0.07**0.5))  # (.04 + .01 + .09) / 2 = .07
    assert assemble.row("x", outcomes[:1], ["recall@10"]).cells["recall@10"] == Value(0.1)
    assert json.dumps(outcomes[0].as_json())
