"""RecBole's filters of rows: the rows that RecBole keeps, the same for every model and for prompts."""

from datetime import date

import pandas as pd
import pytest
from recbole.data.dataset import Dataset
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.data.row_filters import RowFilters, until_purchase
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.experiment import run_experiment
from tests.helpers.fakes import INTER, ITEM, OWN_FIELDS, own_tiny, purchases_only, write_tiny
from tests.helpers.shop import loader_for, texts

CASES = [
    {"rm_dup_inter": "first"},
    {"rm_dup_inter": "last"},
    {"user_inter_num_interval": "[6,inf)"},
    {"user_inter_num_interval": "[3,5];(8,12]"},
    {"user_inter_num_interval": "(0,9)"},
    {"item_inter_num_interval": "[12,inf)"},
    {"item_inter_num_interval": "[12,40];[1,11]"},
    {"item_inter_num_interval": "(0,14]"},
    {"user_inter_num_interval": "[4,inf)", "item_inter_num_interval": "[8,inf)"},
    {"user_inter_num_interval": [4, 9], "item_inter_num_interval": "[6,inf)", "rm_dup_inter": "first"},
    {"val_interval": {"timestamp": "[2,6)"}},
    {"val_interval": {"timestamp": "[0,2);[4,9]"}},
    {"val_interval": {"item_id": ["i1", "i2", "i3", "i4"]}},
    {"val_interval": {"user_id": ["u1", "u2", "u5"], "timestamp": "(0,inf)"}, "rm_dup_inter": "last"},
    {"val_interval": {"price": "[10,30]"}},
    {"val_interval": {"price": "(10,inf)"}, "user_inter_num_interval": "[4,inf)"},
    {"val_interval": {"color": ["red", "blue"]}, "item_inter_num_interval": "[10,inf)"},
]


@pytest.fixture(scope="module")
def bought(tmp_path_factory):
    """Purchases of users with 2 to 12 rows; prices and colors of items, one of which nobody bought."""
    root = tmp_path_factory.mktemp("filters")
    folder = purchases_only(root, users=40, items=25, length=12, seed=3)
    head, *rows = (folder / "bought.inter").read_text().splitlines()
    kept = [row for row in rows if int(row.split("\t")[3]) < 2 + int(row.split("\t")[0][1:]) % 11]
    (folder / "bought.inter").write_text("\n".join([head, *kept]) + "\n")
    _, *items = (folder / "bought.item").read_text().splitlines()
    head = ITEM.splitlines()[0] + "\tprice:float"
    cells = [line.split("\t") for line in [*items, "never\tnever bought\t\t\t\t"]]
    for number, line in enumerate(cells):
        line[3] = ("red", "blue", "green", "")[number % 4]
    lines = ["\t".join([*line, str(number) if number % 7 else ""]) for number, line in enumerate(cells)]
    (folder / "bought.item").write_text("\n".join([head, *lines]) + "\n")
    return root


def config_of(root, **keys):
    return load_config(SASRec, "bought", overrides={"data_path": str(root), "topk": [1], **keys})


@pytest.mark.parametrize("keys", CASES, ids=str)
def test_rows_and_items_are_those_of_recbole(bought, keys):
    config = config_of(bought, **keys)
    files = read_folder(bought / "bought")
    found = RowFilters.of(config).apply(files)
    config["load_col"] = {
        "inter": ["user_id", "item_id", "timestamp"],
        "item": ["item_id", *({"price", "color"} & (keys.get("val_interval") or {}).keys())],
    }
    theirs = Dataset(config)
    columns = [theirs.id2token(name, theirs.inter_feat[name].to_numpy()) for name in ("user_id", "item_id")]
    rows = zip(*columns, theirs.inter_feat["timestamp"].tolist(), strict=True)
    ours = found.interactions[["user_id", "item_id", "timestamp"]].itertuples(index=False, name=None)
    assert sorted(ours) == sorted(rows)
    assert 0 < len(found.interactions) < len(files.interactions)
    items = set(theirs.id2token("item_id", theirs.item_feat["item_id"].to_numpy())) - {"[PAD]"}
    assert set(found.items["item_id"]) == items


def test_without_a_filter_nothing_is_copied(bought):
    files = read_folder(bought / "bought")
    for keys in ({}, {"user_inter_num_interval": "(-1,inf]", "item_inter_num_interval": None, "val_interval": {}}):
        assert RowFilters.of(config_of(bought, **keys)).apply(files) is files


TINY = {"topk": [2], "valid_metric": "NDCG@2"}
TEST_ONLY = {"eval_args": {"split": {"LS": "test_only"}}}  # leaves the short users of `tiny` training rows


def tiny(root, **keys):
    return make_loaders(load_config(SASRec, "tiny", overrides={"data_path": str(root), **TINY, **keys}))


def test_three_purchases_give_no_training_row(tmp_path):
    """The last one is the test row, the one before it the validation row."""
    head = "user_id:token\titem_id:token\taction:token\ttimestamp:float\n"
    rows = "".join(f"u{user}\t1{item}\tpurchase\t{item}\n" for user in (1, 2) for item in (1, 2, 3))
    write_tiny(tmp_path, head + rows, "")
    with pytest.raises(UserError) as raised:
        tiny(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path}/tiny: no training rows (a user needs three item actions, or four where all actions are "
        "purchases); add data"
    )


def test_rows_end_with_a_purchase(tmp_path):
    """u1's purchase of 16 is gone, and with it the click on 15 before it."""
    write_tiny(tmp_path)
    dataset = tiny(tmp_path, val_interval={"item_id": ["11", "12", "13", "14", "15"]}, **TEST_ONLY).dataset
    events = dataset._events.groupby("user_id")["item_id"].agg(list)
    assert events.to_dict() == {"u1": ["11", "12", "13", "14"], "u2": ["12", "13"], "u3": ["11", "12", "14"]}
    assert dataset.rows_filtered == 12 - 9 and dataset.catalogue.item_ids == ("11", "12", "13", "14", "15")


def test_the_filters_are_applied_once(tmp_path):
    """u1 has the five rows that the interval asks for, and four after the cut; RecBole would count those again."""
    write_tiny(tmp_path)
    keys = {"val_interval": {"item_id": ["11", "12", "13", "14", "15"]}, "user_inter_num_interval": "[5,inf)"}
    dataset = tiny(tmp_path, **keys, **TEST_ONLY).dataset
    assert dataset._events["user_id"].tolist() == ["u1"] * 4 and dataset.user_num == 2


@pytest.mark.parametrize(("keep", "times"), [("first", [1, 3, 5]), ("last", [2, 4, 5])])
def test_a_click_and_a_purchase_are_no_duplicates(tmp_path, keep, times):
    head = INTER.splitlines()[0]
    rows = [("11", "click", 1), ("11", "click", 2), ("11", "purchase", 3), ("11", "purchase", 4), ("12", "purchase", 5)]
    inter = "\n".join([head, *(f"u1\t{item}\t{action}\t{time}" for item, action, time in rows)]) + "\n"
    files = read_folder(write_tiny(tmp_path, inter, ""))
    found = RowFilters(keep, {}, "[0,inf)", "[0,inf)").apply(files)
    assert found.interactions["timestamp"].tolist() == times


def test_a_user_without_a_purchase_is_left_out():
    rows = pd.DataFrame({"user_id": list("aabbb"), "action": ["click", "click", "purchase", "purchase", "click"]})
    assert until_purchase(rows).tolist() == [False, False, True, True, False]


def test_searches_stay_and_their_results_are_items_that_stay(tmp_path):
    write_tiny(tmp_path)
    dataset = tiny(tmp_path, val_interval={"item_id": ["11", "12", "13", "14", "15"]}, **TEST_ONLY).dataset
    log, plain, ids = dataset.search_log, tiny(tmp_path).dataset.search_log, dataset.catalogue.item_ids
    assert log.queries == plain.queries and log.times.tolist() == plain.times.tolist()
    assert [[ids[item] for item in log.results(search)] for search in range(len(log))] == [
        ["11", "12"], ["14", "13"], ["11"], ["15"], ["13"],
    ]  # fmt: skip


def test_prompts_have_the_rows_of_the_baselines(tmp_path):
    """u2 has two actions, so no prompt is of u2; what comes before the time is in no prompt."""
    keys = {"user_inter_num_interval": "[3,inf)", "val_interval": {"timestamp": "[1701000001,inf)"}, **TEST_ONLY}
    loader = loader_for(tmp_path, keys=keys)
    users = loader._dataset.id2token("user_id", loader._dataset.inter_feat["user_id"].numpy()).tolist()
    prompts = texts(loader)
    assert users == ["u3", "u1"] and len(prompts) == 2
    assert not any("click 11 " in prompt or "click 16 " in prompt for prompt in prompts)
    assert "click 13 " in prompts[1] and "buy 11 " in prompts[0]


def test_names_of_the_files_in_val_interval(tmp_path):
    own_tiny(tmp_path / "own")
    write_tiny(tmp_path)
    items = ["11", "12", "13", "14"]
    plain = tiny(tmp_path, val_interval={"timestamp": "[0,1702000000)", "item_id": items}, **TEST_ONLY)
    named = {"time": "[0,1702000000)", "iid": items}
    own = tiny(tmp_path / "own", **OWN_FIELDS, val_interval=named, **TEST_ONLY)
    assert own.dataset._events.equals(plain.dataset._events) and own.dataset.rows_filtered == 3


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"val_interval": {"rating": "[3,5]"}}, "val_interval: no column 'rating' in .inter or .item; choose from"),
        ({"val_interval": {"title": "[3,5]"}}, "val_interval: title: expected a list of values"),
        ({"user_inter_num_interval": "[100,inf)"}, "leave no user with a purchase; filter less"),
        ({"val_interval": {"action": ["click"]}}, "leave no user with a purchase"),
        ({"val_interval": {"item_id": [11, 12]}}, "topk"),
    ],
)
def test_what_only_the_files_show_is_one_line(tmp_path, keys, line):
    write_tiny(tmp_path)
    with pytest.raises(UserError) as raised:
        tiny(tmp_path, **keys, topk=[3], valid_metric="NDCG@3")
    assert line in str(raised.value) and "\n" not in str(raised.value)


def test_a_column_of_several_words_has_no_values_to_choose_from(tmp_path):
    head, *rows = ITEM.splitlines()
    write_tiny(
        tmp_path, item="\n".join([f"{head}\tmaterials:token_seq", *(f"{row}\twool mesh" for row in rows)]) + "\n"
    )
    line = "^val_interval: materials: expected a float or token column, found token_seq; leave materials out$"
    with pytest.raises(UserError, match=line):
        tiny(tmp_path, val_interval={"materials": ["wool"]})


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([10, 20, 30], "[10, 20, 30]"),
        ([date(2024, 1, 1), date(2024, 6, 1)], "[2024-01-01, 2024-06-01]"),
        (["low", "high"], "[low, high]"),
        ([20, 10], "[20, 10]"),
        ([10], "[10]"),
        ([], "[]"),
    ],
)
def test_a_list_that_is_no_interval_of_numbers_is_one_line(tmp_path, value, found):
    own_tiny(tmp_path)
    with pytest.raises(UserError) as raised:
        tiny(tmp_path, **OWN_FIELDS, val_interval={"time": value})
    assert str(raised.value) == (
        f"val_interval: time: expected an interval such as \"[0,60]\", found '{found}'; write its two ends, times in "
        "seconds"
    )


def test_an_interval_without_quotes_is_a_list(tmp_path):
    write_tiny(tmp_path)
    lists, texts = (
        tiny(tmp_path, val_interval={"timestamp": value}, **TEST_ONLY).dataset._events
        for value in ([0, 1702000000], "[0,1702000000]")
    )
    assert lists.equals(texts) and len(lists) == 10


def test_a_run_counts_what_is_filtered_and_keeps_its_stages_apart(tmp_path):
    write_tiny(tmp_path)
    places = {"data_path": str(tmp_path), "checkpoint_dir": str(tmp_path / "saved"), "show_progress": False}
    results = []
    for keys in ({}, {"user_inter_num_interval": "[3,inf)"}):
        results.append(run_experiment(load_config(SASRec, "tiny", overrides={**places, **TINY, "epochs": 1, **keys})))
    assert [result.details["rows"].get("rows_filtered") for result in results] == [None, 2]
    assert [len(result.ranks) for result in results] == [3, 2] and results[1].reused == []
