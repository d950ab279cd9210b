"""RecBole's own models as stages: what names a stage, and what of it a later run gets back."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recbole.model.sequential_recommender import CORE
from safetensors.torch import load_file, save_file

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.quick_start.registry import MODEL_TABLE, accepted_models, get_model, model_names
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.recbole_models import WITH_USERS, RecBoleTrainer, load_id_model, train_or_load
from tests.helpers.fakes import INTER, ITEM, SEARCH, purchases_only, write_tiny


def config_of(root, model="GRU4Rec", **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    fixed = {**folders, "topk": [3], "valid_metric": "NDCG@3", "epochs": 3, "show_progress": False}
    return load_config(get_model(model).model, "tiny", (), {**fixed, **keys})


class Names:
    """A store that builds no stage and returns the path that it would have."""

    def __init__(self, root):
        self.root, self.inputs = root, {}
        (root / "fit").mkdir(exist_ok=True)
        (root / "fit/fit.json").write_text('{"valid_scores": []}')

    def get(self, name, inputs, build):
        self.name, self.inputs = StageStore(self.root).path(name, inputs).name, inputs
        return self.root / "fit"


def stage_of(root, **keys):
    store = Names(root)
    config = config_of(root, **keys)
    train_or_load(config, make_loaders(config), store)
    return store


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("recbole_models")
    write_tiny(root)
    return root


@pytest.fixture(scope="module")
def trained(shop):
    """The trainer after `fit`, its callbacks in order, and the store's calls."""
    return fit(shop)


def fit(root, **keys):
    config = config_of(root, **keys)
    loaders, calls, scores = make_loaders(config), [], []
    store = StageStore(root / "stages", lambda name, seconds, reused: calls.append((name, reused)))
    trainer = RecBoleTrainer(config, config.model_class(config, loaders.train._dataset))
    trainer.set_data(loaders, store, lambda: pytest.fail("an ID model needs no table of CORE"))
    result = trainer.fit(loaders.train, loaders.valid, callback_fn=lambda *score: scores.append(score))
    return SimpleNamespace(trainer=trainer, result=result, scores=scores, calls=calls, loaders=loaders)


def test_core_under_the_papers_file_trains_until_its_validation_stops(tmp_path):
    """Its embeddings are those of the best epoch, of equal ones the last; ten validations without gain follow it."""
    purchases_only(tmp_path, users=60, items=20, length=5)
    folders = {"data_path": str(tmp_path), "checkpoint_dir": str(tmp_path / "saved"), "show_progress": False}
    paper = str(properties_folder() / "model/LLMFashionRec-paper.yaml")
    config = load_config(LLMFashionRec, "bought", [paper], folders, accepted_models("LLMFashionRec")).sibling(CORE)
    folder = train_or_load(config, make_loaders(config), StageStore(tmp_path / "stages"))
    fit = json.loads((folder / "fit.json").read_text())
    scores = [score for _, score in fit["valid_scores"]]
    assert len(scores) == fit["epochs"] < fit["epochs_allowed"] == 300
    assert scores[::-1].index(max(scores)) == config["stopping_step"] + 1


def test_inputs_of_a_stage(shop):
    store = stage_of(shop)
    assert list(store.inputs) == ["model", "fit", "keys", "train", "valid", "items", "length_groups"]
    assert (store.inputs["model"], store.inputs["fit"], store.inputs["items"]) == ("GRU4Rec", 2, 7)
    assert store.inputs["keys"]["epochs"] == 3 and store.name.startswith("train_GRU4Rec-")


@pytest.mark.parametrize(
    "keys", [{"epochs": 2}, {"hidden_size": 16}, {"seed": 7}, {"learning_rate": 0.1}, {"mask_history": True},
             {"cold_token": True}, {"length_groups": False}, {"worker": 2}],
    ids=lambda keys: next(iter(keys)),
)  # fmt: skip
def test_keys_that_name_another_stage(shop, keys):
    assert stage_of(shop, **keys).name != stage_of(shop).name


def test_keys_that_name_the_same_stage(shop, tmp_path):
    name = stage_of(shop).name
    same = {"show_progress": True, "checkpoint_dir": str(tmp_path), "use_tuned": True, "gpu_id": "1", "worker": 0}
    for keys in ({key: value} for key, value in same.items()):
        assert stage_of(shop, **keys).name == name, keys


def test_rows_that_name_another_stage(shop, tmp_path):
    """Training rows, validation rows and the number of items do; test targets, queries and titles do not."""
    name = stage_of(shop).name
    for folder, texts, same in (
        ("test", (INTER.replace("u2\t13\tpurchase", "u2\t15\tpurchase"), SEARCH, ITEM), True),
        ("query", (INTER, SEARCH.replace("red boots", "blue boots"), ITEM), True),
        ("title", (INTER, SEARCH, ITEM.replace("Plain Socks", "Wool Socks")), True),
        ("valid", (INTER.replace("u3\t12\tpurchase", "u3\t15\tpurchase"), SEARCH, ITEM), False),
        ("train", (INTER.replace("u1\t12\tpurchase", "u1\t15\tpurchase"), SEARCH, ITEM), False),
        ("items", (INTER, SEARCH, ITEM + "17\tNew\t\t\t\t\n"), False),
    ):
        write_tiny(tmp_path / folder, *texts)
        assert (stage_of(tmp_path / folder).name == name) is same, folder


def test_the_number_of_users_names_the_stage_of_a_model_with_users(shop, tmp_path):
    """Two actions give a test row alone: train and valid rows and items are those of before."""
    write_tiny(tmp_path, INTER + "u9\t11\tpurchase\t100\nu9\t12\tpurchase\t200\n")
    assert stage_of(shop, model="GRU4Rec").name == stage_of(tmp_path, model="GRU4Rec").name
    assert stage_of(shop, model="FPMC").name != stage_of(tmp_path, model="FPMC").name


@pytest.mark.parametrize("name", [name for name in model_names() if name not in MODEL_TABLE])
def test_which_models_have_users(tmp_path, name):
    write_tiny(tmp_path, INTER + "".join(f"v{n}\t11\tpurchase\t1\nv{n}\t12\tpurchase\t2\n" for n in range(94)))
    config = config_of(tmp_path, name)
    loaders = make_loaders(config)
    users = loaders.dataset.user_num
    assert users == 98  # with RecBole's padding user; no other size in these models
    model = config.model_class(config, loaders.dataset)
    assert any(users in parameter.shape for parameter in model.parameters()) is (name in WITH_USERS)


def test_callbacks_come_in_the_order_of_the_epochs(trained):
    assert [epoch for epoch, _ in trained.scores] == [0, 1, 2] and trained.calls == [("train_GRU4Rec", False)]
    report = json.loads((trained.trainer._folder / "fit.json").read_text())
    assert report["valid_scores"] == [list(score) for score in trained.scores]
    assert trained.result == (max(score for _, score in trained.scores), report["valid"])
    assert (report["epochs"], report["epochs_allowed"], len(report["train_loss"])) == (3, 3, 3)
    assert trained.trainer.fit_details == {"epochs": 3, "epochs_allowed": 3}
    assert {path.name for path in trained.trainer._folder.iterdir()} == {"model.safetensors", "fit.json", "stage.json"}


def test_the_best_epoch_is_that_of_the_validation_rows(trained):
    score, metrics = trained.result
    valid, test = (
        dict(trained.trainer.evaluate(rows, load_best_model=False))
        for rows in (trained.loaders.valid, trained.loaders.test)
    )
    assert metrics == valid != test and score == valid["ndcg@3"]


def test_a_stage_that_exists_replays_its_callbacks(shop, trained):
    again = fit(shop)
    assert again.calls == [("train_GRU4Rec", True)] and again.scores == trained.scores
    assert again.result == trained.result and again.trainer.fit_details == trained.trainer.fit_details
    assert again.trainer.save_run(shop / "runs", {}) == trained.trainer._folder
    weights = load_file(trained.trainer._folder / "model.safetensors")
    for trainer in (trained.trainer, again.trainer):
        state = trainer.model.state_dict()
        assert state.keys() == weights.keys() and all(torch.equal(state[name], weights[name]) for name in weights)
        assert not trainer.model.training


def test_a_stage_that_was_made_for_other_metrics(shop, trained):
    """`metrics` is no input of the stage; what it does not hold is measured again, by the weights that it holds."""
    more, fewer = fit(shop, metrics=["NDCG", "MRR", "GAUC"]), fit(shop, metrics=["NDCG"])
    assert more.calls == fewer.calls == [("train_GRU4Rec", True)]
    assert more.result[0] == fewer.result[0] == trained.result[0]
    assert list(more.result[1]) == ["ndcg@3", "mrr@3", "gauc"] and list(fewer.result[1]) == ["ndcg@3"]
    for name in ("ndcg@3", "mrr@3"):
        assert more.result[1][name] == trained.result[1][name]


def test_details_of_a_stage_with_the_cold_token(shop):
    trained = fit(shop, cold_token=True, epochs=1)
    # 11 occurs twice in the training part; 12, 13 and 16 once; 14 and 15 never
    assert trained.trainer.fit_details == {
        "epochs": 1, "epochs_allowed": 1, "cold_token": {"items_replaced": 3, "items_finished": 5},
    }  # fmt: skip


def test_training_without_validation_rows(tmp_path):
    head = INTER.splitlines()[0]
    rows = [f"u{u}\t{i}\t{a}\t{i}" for u in (1, 2) for i, a in ((11, "click"), (12, "click"), (13, "purchase"))]
    write_tiny(tmp_path, "\n".join([head, *rows]) + "\n", "")
    trained = fit(tmp_path)
    assert trained.result[1] == {} and trained.scores == []
    assert trained.trainer.fit_details == {"epochs": 3, "epochs_allowed": 3}


def test_core_table_leaves_out_the_pad_row(tmp_path):
    save_file({"item_embedding.weight": torch.arange(8.0).reshape(4, 2)}, tmp_path / "model.safetensors")
    model = load_id_model(tmp_path, load_config(CORE, "tiny"))
    table = model.table
    assert model.encoder is None  # its lists are made of the embeddings alone
    assert table.dtype == np.float32 and table.tolist() == [[2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
