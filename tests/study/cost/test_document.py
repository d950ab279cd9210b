"""The table, the fronts and the verdict of the cost study, with runs and measurements by hand."""

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.cost import cost
from recbole_llmfashion.study.cost.measure import Cost
from recbole_llmfashion.study.cost.points import DEFAULT, GROUPS, settings
from recbole_llmfashion.study.report.document import Document, Value
from recbole_llmfashion.study.report.figures import png
from recbole_llmfashion.study.runner import Runner
from tests.helpers.study import cells, fake_result, request_for

BEAMS = {100: 0.20, 0: 0.10, 10: 0.1995, 400: 0.21}  # num_beams -> NDCG@10 on validation rows
WORDS = ["--groups=beams", "--users=4"]


@pytest.fixture
def measured(monkeypatch):
    """Replaces runs and measurements; the list of num_beams that were measured."""
    done = []

    def run(config):
        result = fake_result({"ndcg@10": 0.9 - BEAMS[config["num_beams"]], "mrr": 0.1})
        result.valid["ndcg@10"] = BEAMS[config["num_beams"]]
        result.seconds["adapter"] = 7.5
        return result

    def measure(config, users):
        done.append(config["num_beams"])
        spent = 1.0 + config["num_beams"] / 100
        return Cost(30.0, 2 * spent, spent, 1000.5, None, users, 1)

    monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", run)
    monkeypatch.setattr("recbole_llmfashion.study.cost.document.measure", measure)
    return done


def study_of(shop, *words):
    request = request_for(shop, *(words or WORDS), study="cost")
    return cost(request, Runner(request))


def test_by_hand(shop, measured):
    document = study_of(shop)
    (table,) = document.tables
    assert cells(table, "processor") == {DEFAULT: 2.0, "num_beams 0": 1.0, "num_beams 10": 1.1, "num_beams 400": 5.0}
    assert table.rows[0].cells == {
        "valid": Value(0.20), "test": "0.7000", "tokens": 30.0, "milliseconds": 4.0, "processor": 2.0, "memory": 1000,
        "joules": None, "training": 7, "front": "time",
    }  # fmt: skip
    # all prompts have 30 tokens, so the best one beats the others there
    assert cells(table, "front")["num_beams 400"] == "time, tokens"
    assert document.notes[-1].startswith("Candidate for the default: 'num_beams 10'")
    assert "1.1 instead of 2 CPU ms per user, NDCG@10 0.1995 instead of 0.2000" in document.notes[-1]
    time, tokens = document.figures
    assert list(time.series[0].x) == [1.0, 1.1, 2.0, 5.0] and list(tokens.series[0].y) == [0.21]
    assert [series.label for series in time.series if series.marked] == [DEFAULT]
    assert Document.from_json(document.as_json()) == document
    assert png(time) != png(Document.from_json(document.as_json()).figures[1])


def test_settings_are_measured_once_and_together(shop, measured):
    study_of(shop)
    study_of(shop)
    assert measured == [100, 0, 10, 400]
    study_of(shop, "--groups=beams,quantization", "--users=4")  # one more setting: all in the same hour again
    assert measured == [100, 0, 10, 400, 100, 0, 10, 400, 100]


def test_no_setting_ran(shop, measured, monkeypatch):
    for beams in BEAMS:
        monkeypatch.setitem(BEAMS, beams, None)
    document = study_of(shop)
    assert measured == [] and all(row.reason for row in document.tables[0].rows)


def test_a_setting_that_fails_has_its_reason_and_no_point(shop, measured, monkeypatch):
    monkeypatch.setitem(BEAMS, 100, None)  # no figure: the run of the default fails
    document = study_of(shop)
    assert "TypeError" in document.tables[0].rows[0].reason
    assert document.notes[-1].startswith("No setting of this table is a candidate")


def test_groups_and_lengths():
    labels = [one.label for one in settings("all", "136,512", "tiny-falcon-untrained,gpt")]
    assert len(labels) == len(set(labels)) == 1 + 2 + 10 + 2
    assert labels[:3] == [DEFAULT, "max_length 136", "max_length 512"] and labels[-1] == "backbone gpt"
    assert [one.keys for one in settings("beams", "1", "")][1] == {"num_beams": 0}
    with pytest.raises(UserError, match=f"--groups: expected all or some of {', '.join(GROUPS)}, found 'beam'"):
        settings("text,beam", "136", "")
    with pytest.raises(UserError, match="--lengths: expected numbers separated by commas, found '1,x'"):
        settings("history", "1,x", "")


@pytest.mark.parametrize("split", ["valid_and_test", "test_only"])
def test_a_log_without_validation_rows_is_refused_before_the_first_row(shop, measured, split):
    inter = shop / "tiny/tiny.inter"
    if split == "valid_and_test":
        header, *rows = inter.read_text().splitlines()
        last = {row.split("\t")[0]: row for row in rows}
        clicks = [row if row == last[row.split("\t")[0]] else row.replace("purchase", "click") for row in rows]
        inter.write_text("\n".join([header, *clicks, ""]))
    with pytest.raises(UserError, match="no validation row: no user has two purchases; study cost needs"):
        study_of(shop, *WORDS, "--click_filter=none", f"--eval_args={{split: {{LS: {split}}}}}")
    assert measured == [] and not (shop / "saved").exists()


def test_test_rows_are_not_needed(shop, measured):
    document = study_of(shop, *WORDS, "--eval_args={split: {LS: valid_only}}")
    assert measured and document.tables[0].rows[0].cells["valid"] == Value(0.20)
