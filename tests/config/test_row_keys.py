"""RecBole's keys of rows and columns, by the layers alone: nothing is read and nothing trains."""

import pytest

from recbole_llmfashion.config.command_line import read_keys
from recbole_llmfashion.config.layers import merge_layers
from recbole_llmfashion.config.row_keys import INSTEAD
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
REFUSED = [
    ("user_inter_num_interval", "[3,inf)", "convert recbole` --k-core N"),
    ("user_inter_num_interval", "(0,5];(7,9)", "--k-core"),
    ("user_inter_num_interval", "three", "--k-core"),
    ("item_inter_num_interval", "[1,inf)", "--k-core"),
    ("item_inter_num_interval", "[5,inf)", "--k-core"),
    ("rm_dup_inter", "first", "repeated actions count"),
    ("rm_dup_inter", "last", "repeated actions count"),
    ("val_interval", {"timestamp": "[0,100)"}, "filter the atomic files"),
    ("val_interval", {"action": ["purchase"]}, "filter the atomic files"),
    ("filter_inter_by_user_or_item", False, "is an error; leave it out"),
    ("benchmark_filename", ["train", "valid", "test"], "join the parts"),
    ("threshold", {"rating": 3}, "there are no labels"),
    ("preload_weight", {"item_id": "vector"}, "no number column is read"),
    ("normalize_field", ["timestamp"], "no number column"),
    ("normalize_all", True, "no number column"),
    ("discretization", {"price": {"method": "LD"}}, "no number column"),
    ("numerical_features", ["price"], "no number column"),
    ("seq_len", {"title": 5}, "columns of the atomic files are fixed"),
    ("unload_col", {"inter": ["timestamp"]}, "fixed"),
    ("unused_col", {"inter": ["timestamp"]}, "fixed"),
    ("additional_feat_suffix", ["ent"], "fixed"),
    ("alias_of_item_id", ["other"], "fixed"),
    ("field_separator", ",", "separated by tabs"),
    ("seq_separator", ";", "separated by spaces"),
]
COLUMNS = [
    ({"inter": ["user_id", "rating"]}, ".inter has no column 'rating'"),
    ({"item": ["class"]}, ".item has no column 'class'"),
    ({"user": ["age"]}, "no file '.user' is read"),
    ("all", "expected a dict|expected"),
]


@pytest.mark.parametrize("model", ["SASRec", "LLMFashionRec"])
@pytest.mark.parametrize(("key", "value"), TAKEN)
def test_values_that_change_nothing(model, key, value):
    merge_layers(model, "footwear", (), {key: value})


@pytest.mark.parametrize(("key", "value", "advice"), REFUSED)
def test_values_that_would_change_the_rows_of_one_model(key, value, advice):
    with pytest.raises(UserError, match=f"^command line: {key}: ") as raised:
        merge_layers("SASRec", "footwear", (), {key: value})
    assert advice in str(raised.value) and "\n" not in str(raised.value)


def test_every_key_has_a_row():
    rows = {key for key, *_ in REFUSED}
    assert INSTEAD.keys() - rows == {"alias_of_user_id", "alias_of_entity_id", "alias_of_relation_id"}


@pytest.mark.parametrize(("value", "message"), COLUMNS)
def test_columns_that_are_not_there(value, message):
    with pytest.raises(UserError, match=f"^command line: load_col: .*({message})"):
        merge_layers("SASRec", "footwear", (), {"load_col": value})


@pytest.mark.parametrize("text", ["[3,inf)", "(1,5]", "[3,5]", "[0,3];(7,9)", "[0,inf)"])
def test_intervals_are_read_as_recbole_reads_them(text):
    assert read_keys([f"--user_inter_num_interval={text}"]) == {"user_inter_num_interval": text}
    assert read_keys(["--item_inter_num_interval", text]) == {"item_inter_num_interval": text}
