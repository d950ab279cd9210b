"""The layers of a config before RecBole sees them; test_configurator.py has what RecBole makes of them."""

import pytest

from recbole_llmfashion.config import keys
from recbole_llmfashion.config.evaluation_keys import check_valid_metric
from recbole_llmfashion.config.layers import merge_layers, tuned_file
from recbole_llmfashion.errors import UserError

EVALUATION = """metrics: [NDCG]
split_by: user
eval_args: {split: {LS: valid_and_test}, order: TO, group_by: user, mode: full}
"""


@pytest.fixture
def properties(tmp_path, monkeypatch):
    """A properties folder with a value of each layer."""
    root = tmp_path / "properties"
    for name, text in {
        "overall": f"seed: 1\nuse_tuned: False\nstate: WARNING\n{EVALUATION}",
        "dataset/default": "seed: 2\nfield_separator: t\n",
        "dataset/shoes": "seed: 3\n",
        "model/Base": "width: 1\ndepth: 1\n",
        "model/Own": "width: 2\nshare: 0.5\nlabels: [a]\n",
        "tuned/shoes/Own": "width: 3\n",
    }.items():
        (root / f"{name}.yaml").parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(keys, "properties_folder", lambda: root)
    return root


MODEL = ("Base", "Own")


def test_later_layers_win(properties, tmp_path):
    merged = merge_layers(MODEL, "shoes")
    assert merged["seed"] == 3 and merged["width"] == 2 and merged["depth"] == 1 and merged["field_separator"] == "t"
    assert merge_layers(MODEL, "boots")["seed"] == 2
    assert merge_layers("Base", "shoes")["width"] == 1 and "share" not in merge_layers("Base", "shoes")
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 4\nwidth: 5\n")
    merged = merge_layers(MODEL, "shoes", [str(file)], {"seed": 6})
    assert (merged["seed"], merged["width"]) == (6, 5)


def test_tuned_values_lie_below_the_users(properties):
    assert tuned_file("shoes", "Own") == properties / "tuned/shoes/Own.yaml" and tuned_file("boots", "Own") is None
    assert merge_layers(MODEL, "shoes", (), {"use_tuned": True})["width"] == 3
    assert merge_layers(MODEL, "shoes", (), {"use_tuned": True, "width": 4})["width"] == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"widht": 1}, "command line: unknown key 'widht'; did you mean 'width'?"),
        ({"width": "wide"}, "command line: width: expected a whole number, found 'wide'"),
        ({"width": True}, "command line: width: expected a whole number, found 'True'"),
        ({"share": [1]}, "command line: share: expected a number, found '[1]'"),
        ({"labels": "a"}, "command line: labels: expected a list, found 'a'"),
        ({"epochs": "many"}, "command line: epochs: expected a whole number of 1 or more, found 'many'"),
        ({"show_progress": "maybe"}, "command line: show_progress: expected True or False, found 'maybe'"),
    ],
)
def test_mistakes(properties, overrides, message):
    with pytest.raises(UserError) as raised:
        merge_layers(MODEL, "shoes", (), overrides)
    assert str(raised.value) == message


def test_numbers_of_another_kind_are_taken(properties):
    merged = merge_layers(MODEL, "shoes", (), {"share": 1, "learning_rate": 1, "topk": 5, "gpu_id": 0})
    assert (merged["share"], merged["learning_rate"], merged["topk"], merged["gpu_id"]) == (1, 1, [5], 0)


def test_keys_of_another_model_are_accepted_and_left_out(properties):
    assert "share" not in merge_layers("Base", "shoes", (), {"share": 0.1}, ["Own"])
    with pytest.raises(UserError, match="share: a key of Own, not of a model of this command"):
        merge_layers("Base", "shoes", (), {"share": 0.1})


def test_valid_metric_must_be_computed():
    check_valid_metric({"metrics": ["NDCG"], "topk": [5], "valid_metric": "ndcg@5"})
    with pytest.raises(UserError, match="valid_metric: 'NDGC@5' is not computed; did you mean 'NDCG@5'"):
        check_valid_metric({"metrics": ["NDCG"], "topk": [5], "valid_metric": "NDGC@5"})
