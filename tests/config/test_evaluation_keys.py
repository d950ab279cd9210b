"""RecBole's keys of the evaluation, by the layers alone: nothing is read and nothing trains."""

import pytest

from recbole_llmfashion.config.evaluation_keys import check_valid_metric, recbole_metrics, written_out
from recbole_llmfashion.config.layers import merge_layers
from recbole_llmfashion.errors import UserError

DEFAULT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
LS = "split: {LS: valid_and_test}"

TAKEN = [
    (DEFAULT, {}),
    ({}, {}),
    ({"order": "TO"}, {}),
    ({"mode": "full"}, {}),
    ({"mode": {"valid": "full", "test": "full"}}, {}),
    ({"mode": {"test": "full"}}, {}),
    ({"group_by": "user"}, {}),
    ({"split": {"LS": "valid_and_test"}}, {}),
    ({"split": {"LS": "valid_only"}}, {"split": {"LS": "valid_only"}}),
    ({"split": {"LS": "test_only"}, "mode": "full"}, {"split": {"LS": "test_only"}}),
]
REFUSED = [
    ({"split": {"RS": [0.8, 0.1, 0.1]}}, f"split: found RS, but .*write {LS}, or set split_by: time with time_split"),
    ({"split": {"RS": [8, 1, 1]}, "order": "TO", "group_by": "user", "mode": "full"}, "split: found RS"),
    ({"split": {"TS": [0.8, 0.1, 0.1]}}, "split: found TS, but .*split_by"),
    ({"split": {"LS": "valid_test"}}, "split: .*LS takes valid_and_test, valid_only, test_only; write " + LS),
    ({"split": {"LS": None}}, "split: .*LS takes"),
    ({"split": {"LS": "valid_and_test", "RS": [1]}}, "split: .*LS takes"),
    ({"split": {}}, "split: .*LS takes"),
    ({"split": None}, "split: found None"),
    ({"split": "LS"}, "split: found LS"),
    ({"order": "RO"}, "order: found RO, but sequences are in the order of time; write order: TO"),
    ({"order": None}, "order: found None"),
    ({"order": "time"}, "order: found time"),
    ({"group_by": "none"}, "group_by: found none, but .*; write group_by: user"),
    ({"group_by": None}, "group_by: found None"),
    ({"group_by": "item"}, "group_by: found item"),
    ({"mode": "uni100"}, "mode: found uni100, but .*; write mode: full"),
    ({"mode": "pop100"}, "mode: found pop100"),
    ({"mode": "labeled"}, "mode: found labeled"),
    ({"mode": {"valid": "uni100", "test": "full"}}, "mode: found .*uni100"),
    ({"mode": {"train": "full"}}, "mode: found .*train"),
    ({"mode": {}}, "mode: found {}"),
    ({"mode": ["full"]}, "mode: found"),
    ({"mode": None}, "mode: found None"),
    ({"splits": {"LS": "test_only"}}, "unknown field 'splits'; did you mean 'split'"),
    ({3: 4}, "unknown field '3'"),
    ("LS", "expected a dict, found 'LS'"),
    (None, "expected a dict"),
    ([DEFAULT], "expected a dict"),
]


def merged(**overrides):
    return merge_layers("SASRec", "footwear", (), overrides)


@pytest.mark.parametrize(("given", "changed"), TAKEN)
def test_a_partial_eval_args_is_filled_up(given, changed):
    assert merged(eval_args=given)["eval_args"] == DEFAULT | changed


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_eval_args_that_cannot_be(given, message):
    with pytest.raises(UserError, match=f"^(command line: )?eval_args: {message}"):
        merged(eval_args=given)


def test_a_config_file_fills_up_from_the_default_too(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("eval_args: {split: {LS: test_only}}\n")
    assert merge_layers("SASRec", "x", [str(file)])["eval_args"] == DEFAULT | {"split": {"LS": "test_only"}}


@pytest.mark.parametrize("part", ["valid_only", "test_only"])
def test_a_split_by_time_has_both_parts(part):
    with pytest.raises(UserError, match=f"^eval_args: split_by: time has validation and test rows; write {LS}$"):
        merged(split_by="time", eval_args={"split": {"LS": part}})


RANKING = [
    "Hit", "MRR", "MAP", "Recall", "NDCG", "Precision", "GAUC", "ItemCoverage", "AveragePopularity", "ShannonEntropy",
    "GiniIndex", "TailPercentage",
]  # fmt: skip


def test_the_registry_of_recbole():
    from recbole.evaluator.register import metrics_dict

    assert {name.lower() for name in recbole_metrics()} == set(metrics_dict)
    assert [name for name, from_ranks in recbole_metrics().items() if from_ranks] == RANKING


@pytest.mark.parametrize("name", [*RANKING, *map(str.lower, RANKING)])
def test_metrics_of_a_ranking(name):
    assert merged(metrics=name)["metrics"] == [name] == merged(metrics=[name])["metrics"]


@pytest.mark.parametrize("name", ["AUC", "LogLoss", "RMSE", "MAE", "auc", "logloss"])
def test_metrics_of_labels_and_ratings(name):
    with pytest.raises(UserError, match=r"^metrics: \w+ reads labels or ratings, and a ranking has none; choose from"):
        merged(metrics=["Recall", name])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected a list of one or more names"),
        (None, "expected a list"),
        ("", "expected a list"),
        ({"Recall": 1}, "expected a list"),
        (["Recal"], "unknown metric 'Recal'; did you mean 'Recall'"),
        ([["Recall"]], "expected a list"),
        ([5], "expected a list"),
        ("Recall,NDCG", r"unknown metric 'Recall,NDCG'; write \[Recall,NDCG\]$"),
    ],
)
def test_bad_metrics(value, message):
    with pytest.raises(UserError, match=f"^(command line: )?metrics: {message}"):
        merged(metrics=value)


@pytest.mark.parametrize("value", [0, -1, "ten", True, [1]])
def test_bad_tail_ratios(value):
    with pytest.raises(UserError, match=r"^command line: tail_ratio: expected a number above 0 or"):
        merged(tail_ratio=value)


@pytest.mark.parametrize("value", [None, 0.2, 1, 5])
def test_tail_ratios(value):
    assert merged(tail_ratio=value)["tail_ratio"] == value


def test_short_forms():
    assert written_out({"metrics": "NDCG", "topk": 5}) == {"metrics": ["NDCG"], "topk": [5]}
    assert written_out({"metrics": ["NDCG"], "topk": True, "seed": 3}) == {"metrics": ["NDCG"], "topk": True, "seed": 3}


@pytest.mark.parametrize("name", ["gauc", "GAUC", "itemcoverage@5", "GiniIndex@10"])
def test_metrics_of_early_stopping(name):
    check_valid_metric({"metrics": ["GAUC", "ItemCoverage", "GiniIndex"], "topk": [5, 10], "valid_metric": name})
    with pytest.raises(UserError, match=r"^valid_metric"):
        check_valid_metric({"metrics": ["GAUC", "ItemCoverage"], "topk": [20], "valid_metric": f"{name}0"})
