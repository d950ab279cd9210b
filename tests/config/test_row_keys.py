"""RecBole's keys of rows and columns, by the layers alone; test_recbole_keys.py has those that are not applied."""

import pytest

from recbole_llmfashion.config.command_line import read_keys
from recbole_llmfashion.config.layers import merge_layers
from recbole_llmfashion.errors import UserError

TAKEN = [
    ("user_inter_num_interval", "[0,inf)"),
    ("user_inter_num_interval", "[0, inf)"),
    ("user_inter_num_interval", "[1,inf)"),
    ("item_inter_num_interval", "[0,inf)"),
    ("rm_dup_inter", None),
    ("val_interval", None),
    ("val_interval", {}),
    ("filter_inter_by_user_or_item", True),
    ("benchmark_filename", None),
    ("threshold", None),
    ("numerical_features", []),
    ("load_col", None),
    ("load_col", {"inter": ["user_id", "item_id", "timestamp"]}),
    ("load_col", {"inter": "*", "item": ["item_id", "category"]}),
    ("USER_ID_FIELD", "user_id"),
    ("TIME_FIELD", "timestamp"),
    ("USER_ID_FIELD", "uid"),
    ("ITEM_ID_FIELD", "iid"),
    ("TIME_FIELD", "time"),
    ("field_separator", "\t"),
]
FILTERS = [
    ("user_inter_num_interval", "[3,inf)"),
    ("user_inter_num_interval", "(0,5];(7,9)"),
    ("user_inter_num_interval", " [ 3 , 5.5 ] ; (7,1e3) "),
    ("user_inter_num_interval", [3, 9]),  # unquoted in a YAML file; RecBole reads its text
    ("item_inter_num_interval", "(-inf,inf]"),
    ("item_inter_num_interval", None),
    ("rm_dup_inter", "first"),
    ("rm_dup_inter", "last"),
    ("val_interval", {"timestamp": "[0,100)"}),
    ("val_interval", {"timestamp": "[0,100);(200,inf)", "action": ["purchase"]}),
    ("val_interval", {"price": [10, 20]}),
]
NO_FILTERS = [
    *((key, value) for key in ("user_inter_num_interval", "item_inter_num_interval") for value in (
        "three", "3", 3, "", "[3,5", "3,5", "[3]", "[3,4,5]", "[a,b]", "[5,3]", "[nan,3]", "[1,2];x", "{1,2}", [3], {},
        "[1,2][3,4]", "[1,2];", True,
    )),
    *(("rm_dup_inter", value) for value in ("both", "First", True, "", ["first"], 1)),
    *(("val_interval", value) for value in (
        "[3,5]", ["timestamp"], 3, {"timestamp": "three"}, {"timestamp": 3}, {"timestamp": None}, {"action": "a"},
    )),
]  # fmt: skip
COLUMNS = [
    ({"inter": ["user_id", "rating"]}, ".inter has no column 'rating'"),
    ({"search": ["class"]}, ".search has no column 'class'"),
    ({"user": ["age"]}, "no file '.user' is read"),
    ("all", "expected a dict|expected"),
]


@pytest.mark.parametrize("model", ["SASRec", "LLMFashionRec"])
@pytest.mark.parametrize(("key", "value"), TAKEN)
def test_values_that_change_nothing(model, key, value):
    merge_layers(model, "footwear", (), {key: value})


@pytest.mark.parametrize("model", ["SASRec", "LLMFashionRec"])
@pytest.mark.parametrize(("key", "value"), FILTERS)
def test_filters_of_rows(model, key, value):
    assert merge_layers(model, "footwear", (), {key: value})[key] == value


@pytest.mark.parametrize(("key", "value"), NO_FILTERS)
def test_what_is_no_filter_is_one_line(key, value):
    with pytest.raises(UserError, match=rf"^command line: {key}: expected ") as raised:
        merge_layers("SASRec", "footwear", (), {key: value})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("value", "message"), COLUMNS)
def test_columns_that_are_not_there(value, message):
    with pytest.raises(UserError, match=f"^command line: load_col: .*({message})"):
        merge_layers("SASRec", "footwear", (), {"load_col": value})


@pytest.mark.parametrize("text", ["[3,inf)", "(1,5]", "[3,5]", "[0,3];(7,9)", "[0,inf)"])
def test_intervals_are_read_as_recbole_reads_them(text):
    assert read_keys([f"--user_inter_num_interval={text}"]) == {"user_inter_num_interval": text}
    assert read_keys(["--item_inter_num_interval", text]) == {"item_inter_num_interval": text}
