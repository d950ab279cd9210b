import numpy as np
import pytest
import torch
from recbole.data.dataset import SequentialDataset
from recbole.model.sequential_recommender import FPMC, FEARec, GRU4RecF, SASRec, TransRec
from recbole.utils import init_seed

from recbole_llmfashion import compat
from recbole_llmfashion.config.configurator import load_config, no_core
from recbole_llmfashion.data.atomic.field_names import FIELD_KEYS
from recbole_llmfashion.data.atomic.folder import ITEM as ITEM_COLUMNS
from recbole_llmfashion.data.dataset import HISTORY_LENGTH, RECOMMEND_TIME, selected_features
from recbole_llmfashion.data.loaders import make_loaders, rows_sha256
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.recbole_models import RecBoleTrainer
from tests.helpers.fakes import INTER, ITEM, purchases_only, write_tiny

FIELDS = {key: column for column, key in FIELD_KEYS.items()}


def tiny_loaders(root, **keys):
    config = load_config(SASRec, "tiny", overrides={"data_path": str(root), "topk": [3], **keys})
    return make_loaders(config)


def pairs(loader):
    """(user token, target token, item tokens of the history) of each row."""
    data = loader._dataset
    feat = data[list(range(len(data)))]
    rows = []
    for i in range(len(data)):
        length = int(feat["item_length"][i])
        tokens = data.id2token("item_id", feat["item_id_list"][i][:length].numpy()).tolist()
        user, target = data.id2token("user_id", feat["user_id"][i]), data.id2token("item_id", feat["item_id"][i])
        rows.append((str(user), str(target), tokens))
    return rows


def test_rows(tmp_path):
    write_tiny(tmp_path)
    loaders = tiny_loaders(tmp_path)
    assert pairs(loaders.test) == [
        ("u1", "16", ["11", "12", "13", "14", "15"]),
        ("u2", "13", ["12"]),
        ("u3", "14", ["16", "11", "12"]),
    ]
    assert sorted(pairs(loaders.valid)) == [("u1", "14", ["11", "12", "13"]), ("u3", "12", ["16", "11"])]
    assert sorted(pairs(loaders.train)) == [("u1", "12", ["11"]), ("u1", "13", ["11", "12"]), ("u3", "11", ["16"])]


def test_internal_ids_follow_the_item_file(tmp_path):
    write_tiny(tmp_path)
    dataset = tiny_loaders(tmp_path).dataset
    assert dataset.field2id_token["item_id"].tolist() == ["[PAD]", "16", "11", "12", "13", "14", "15"]
    assert dataset.item_num == 7


def test_history_length_and_time_of_rows(tmp_path):
    write_tiny(tmp_path)
    test = tiny_loaders(tmp_path).test._dataset
    # u1: five item actions and three searches strictly before 1702900000; the search at that second does not count
    assert test.inter_feat[HISTORY_LENGTH].tolist() == [8, 1, 4]
    assert test.inter_feat[RECOMMEND_TIME].tolist() == [1702900000, 1701000060, 1701000003]


def test_train_targets_purchase(tmp_path):
    write_tiny(tmp_path)
    loaders = tiny_loaders(tmp_path, train_targets="purchase")
    assert sorted(row[:2] for row in pairs(loaders.train)) == [("u1", "12"), ("u3", "11")]
    assert len(pairs(loaders.test)) == 3


@pytest.mark.parametrize(("mode", "kept"), [("paper", 5), ("train", 6), ("none", 6)])
def test_click_filter_modes(tmp_path, mode, kept):
    # u1 clicks 16 long before the purchase of it in the test row: only the paper's filter looks into the future
    inter = INTER.replace("u1\t11\tclick\t1701000000", "u1\t16\tclick\t1701000000")
    write_tiny(tmp_path, inter=inter)
    dataset = tiny_loaders(tmp_path, click_filter=mode).dataset
    assert (dataset._events["user_id"] == "u1").sum() == kept


@pytest.mark.parametrize(("mode", "kept"), [("paper", 5), ("train", 6), ("none", 6)])
def test_click_filter_train_does_not_look_at_validation_purchases(tmp_path, mode, kept):
    # u1 clicks 14 long before its purchase in the validation row
    inter = INTER.replace("u1\t11\tclick\t1701000000", "u1\t14\tclick\t1701000000")
    write_tiny(tmp_path, inter=inter)
    dataset = tiny_loaders(tmp_path, click_filter=mode).dataset
    assert (dataset._events["user_id"] == "u1").sum() == kept


def test_users_left_out_are_counted(tmp_path):
    inter = INTER + "u4\t11\tclick\t1701000000\nu4\t11\tpurchase\t1701000005\n"
    write_tiny(tmp_path, inter=inter)
    dataset = tiny_loaders(tmp_path).dataset
    assert sum(dataset.left_out.values()) == 1
    assert dataset.user_num == 4


def test_bad_keys(tmp_path):
    write_tiny(tmp_path)
    order_only = INTER.replace("\t1701", "\t1").replace("\t1702", "\t2")
    write_tiny(tmp_path / "order", inter=order_only, search="")
    write_tiny(tmp_path / "one", inter=INTER.replace("click\t1701000000\nu1", "click\t0\nu1"), search="")
    for root, keys, message in [
        (tmp_path, {"click_filter": "some"}, "click_filter: expected one of paper, train, none, found 'some'"),
        (tmp_path, {"split_by": "day"}, "split_by: expected one of user, time, found 'day'"),
        (tmp_path, {"split_by": "time", "time_split": [0.9, 0.8]}, "time_split: expected two shares"),
        (tmp_path, {"train_share": 0}, "train_share: expected a number above 0 and at most 1, found '0'"),
        (tmp_path / "order", {"split_by": "time"}, "split_by: expected timestamps that are dates, found an order only"),
        (
            tmp_path / "one",
            {"split_by": "time"},
            f"split_by: expected timestamps that are dates, found 1 of 12 before 1973 in {tmp_path}/one/tiny; "
            "correct or remove these rows, or use user$",
        ),
    ]:
        with pytest.raises(UserError, match=f"^(command line: )?{message}"):
            tiny_loaders(root, **keys)


def test_popularity(tmp_path):
    write_tiny(tmp_path)
    # by catalogue position: items 16, 11, 12, 13, 14, 15
    assert tiny_loaders(tmp_path).dataset.popularity().tolist() == [1, 2, 1, 1, 0, 0]


def test_replace_items(tmp_path):
    write_tiny(tmp_path)
    loaders = tiny_loaders(tmp_path)
    # item 11 (internal id 2) becomes item 16 (internal id 1)
    other = loaders.test._dataset.replace_items(torch.tensor([0, 1, 1, 3, 4, 5, 6]))
    assert other[[0]]["item_id_list"][0, :5].tolist() == [1, 3, 4, 5, 6]
    assert loaders.test._dataset[[0]]["item_id_list"][0, :5].tolist() == [2, 3, 4, 5, 6]


def test_rows_out_of_order(tmp_path):
    write_tiny(tmp_path, inter=INTER + "u1\t11\tclick\t1701000000\n")
    with pytest.raises(UserError, match="recbole-llmfashion clean"):
        tiny_loaders(tmp_path)


def test_training_actions_have_their_search(tmp_path):
    write_tiny(tmp_path)
    dataset = tiny_loaders(tmp_path).dataset
    rows = dataset.training_actions
    # u1's click on 11, purchase of 12 and click on 13 follow "red boots"; u3's search is not before its target
    assert rows[["user", "item", "search"]].to_numpy().tolist() == [
        [1, 1, 0], [1, 2, 0], [1, 3, 0], [3, 0, -1], [3, 1, -1],
    ]  # fmt: skip
    assert dataset.search_log.training.tolist() == [True, False, False, False, False]


NEGATIVES = {"distribution": "uniform", "sample_num": 2}


@pytest.mark.parametrize(
    ("model_class", "keys"),
    [
        (SASRec, {"length_groups": False}),
        (SASRec, {"length_groups": False, "loss_type": "BPR"}),
        (FPMC, {"train_neg_sample_args": NEGATIVES}),
        (FPMC, {"train_neg_sample_args": NEGATIVES | {"dynamic": True, "candidate_num": 2}}),
        (FEARec, {}),
    ],
)
def test_rows_and_metrics_of_purchases_equal_recboles(tmp_path, model_class, keys):
    """On purchase-only data the split is RecBole's leave-one-out; with the same seed the metrics are equal."""
    purchases_only(tmp_path, users=60, items=40, length=7)
    config = load_config(
        model_class,
        "bought",
        overrides={
            "data_path": str(tmp_path), "epochs": 2, "checkpoint_dir": str(tmp_path / "ours"), "show_progress": False,
            "train_batch_size": 64, **keys,
        },
    )  # fmt: skip
    ours = make_loaders(config)
    trainer = RecBoleTrainer(config, model_class(config, ours.train._dataset))
    trainer.set_data(ours, StageStore(tmp_path / "stages"), no_core)
    trainer.fit(ours.train, ours.valid)
    our_metrics = trainer.evaluate(ours.test, load_best_model=False)

    from recbole.data.utils import data_preparation
    from recbole.trainer import Trainer

    folder = {"checkpoint_dir": str(tmp_path / "rb")}
    plain = load_config(model_class, "bought", overrides={**config["command_line"], **folder})
    plain["load_col"] = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]}
    init_seed(plain["seed"], plain["reproducibility"])
    dataset = SequentialDataset(plain)
    train, valid, test = data_preparation(plain, dataset)
    init_seed(plain["seed"] + plain["local_rank"], plain["reproducibility"])
    model = model_class(plain, train._dataset).to(plain["device"])
    with compat.trackers_off():
        trainer = Trainer(plain, model)
    trainer.fit(train, valid, show_progress=False)
    with compat.own_checkpoint():
        metrics = trainer.evaluate(test, show_progress=False)
    for mine, theirs in zip((ours.train, ours.valid, ours.test), (train, valid, test), strict=True):
        for field in ("user_id", "item_id", "item_id_list", "item_length"):
            every = list(range(len(theirs._dataset)))
            assert np.array_equal(mine._dataset[every][field], theirs._dataset[every][field])
    assert dict(our_metrics) == dict(metrics)
    assert metrics["recall@10"] > 0


def test_negatives_are_popular_in_training_rows_alone(tmp_path):
    """RecBole counts test targets too; item i0 is a test target only, so it is never drawn by popularity."""
    purchases_only(tmp_path, users=30, items=6, length=5)
    inter = tmp_path / "bought/bought.inter"
    head, *rows = inter.read_text().splitlines()
    rows = [row.replace("\ti0\t", "\ti1\t") if not row.endswith("\t4") else row for row in rows]
    rows = [row.replace(row.split("\t")[1], "i0") if row.endswith("\t4") else row for row in rows]
    inter.write_text("\n".join([head, *rows]) + "\n")
    popular = {"train_neg_sample_args": {"distribution": "popularity", "sample_num": 50}}
    keys = {"data_path": str(tmp_path), "topk": [3], **popular}
    train = make_loaders(load_config(FPMC, "bought", overrides=keys)).train
    never = train._dataset.token2id("item_id", "i0")
    batches = list(train)
    drawn = torch.cat([batch["neg_item_id"] for batch in batches])
    assert len(drawn) >= 50 * 30 and never not in drawn
    assert not (torch.cat([batch["item_id"] for batch in batches]) == drawn).any()


def test_item_attributes_of_a_feature_model(tmp_path):
    write_tiny(tmp_path)
    keys = {"data_path": str(tmp_path), "topk": [3]}
    dataset = make_loaders(load_config(GRU4RecF, "tiny", overrides=keys)).dataset
    # by internal id: the pad, then items 16, 11, 12, 13, 14, 15; an empty cell is the pad's 0
    assert dataset.field2id_token["category"].tolist() == ["[PAD]", "bags", "boots", "sandals", "socks"]
    assert dataset.item_feat["category"].tolist() == [0, 1, 2, 2, 3, 3, 4]
    assert dataset.item_feat["brand"].tolist() == [0, 1, 2, 2, 3, 3, 0]
    one = make_loaders(load_config(GRU4RecF, "tiny", overrides={**keys, "selected_features": ["color"]})).dataset
    assert one.item_feat.columns == ["item_id", "color"]


def test_stage_inputs_have_the_item_attributes_of_feature_models_only(tmp_path):
    write_tiny(tmp_path)
    write_tiny(tmp_path / "red", item=ITEM.replace("\tblue", "\tred"))
    hashes = [
        rows_sha256(make_loaders(load_config(model, "tiny", overrides={"data_path": str(root), "topk": [3]})).train)
        for model in (GRU4RecF, SASRec)
        for root in (tmp_path, tmp_path / "red")
    ]
    assert hashes[0] != hashes[1] and hashes[2] == hashes[3]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["class"], "no text column 'class' in .item; choose from title, brand, color, size, category"),
        (["price"], "no text column 'price'"),
        (["item_id"], "no text column 'item_id'"),
        ([], "expected a list of title, brand"),
        ("brand", "found 'brand'"),
        ([3], "no text column '3'"),
    ],
)
def test_item_attributes_that_are_not_there(tmp_path, value, message):
    write_tiny(tmp_path)
    keys = {"data_path": str(tmp_path), "selected_features": value, "topk": [3]}
    with pytest.raises(UserError, match=r"selected_features"):
        config = load_config(GRU4RecF, "tiny", overrides=keys)
        RecBoleTrainer.validate_config(config)
    if isinstance(value, list):
        with pytest.raises(UserError, match=f"^selected_features: .*{message}"):
            selected_features({**FIELDS, "selected_features": value}, ITEM_COLUMNS.required)


def test_rows_with_other_histories_have_another_digest(tmp_path):
    """The first action of a user is no target, so it is in the histories alone."""
    write_tiny(tmp_path)
    write_tiny(tmp_path / "other", inter=INTER.replace("u3\t16\t", "u3\t15\t"))
    one, other = (tiny_loaders(root).test for root in (tmp_path, tmp_path / "other"))
    assert [row[:2] for row in pairs(one)] == [row[:2] for row in pairs(other)] and pairs(one) != pairs(other)
    assert rows_sha256(one) != rows_sha256(other) and rows_sha256(one) == rows_sha256(tiny_loaders(tmp_path).test)


def test_transrec_scores_fewer_users_at_once(tmp_path):
    purchases_only(tmp_path, users=200, items=40, length=4)
    keys = {"data_path": str(tmp_path), "topk": [3], "eval_memory_mb": 1}
    loaders = make_loaders(load_config(TransRec, "bought", overrides=keys))
    assert loaders.test.step == 2**20 // (41 * (16 * 64 + 20)) == 24
    assert make_loaders(load_config(SASRec, "bought", overrides=keys)).test.step > 200
