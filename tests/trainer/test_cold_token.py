"""The cold token: which items by hand, the rule on every ID baseline, what it must not touch, and what it is for."""

import json

import numpy as np
import pytest
import torch
from recbole.utils import init_seed
from torch import nn

from recbole_llmfashion.config.configurator import load_config, no_core
from recbole_llmfashion.data.loaders import make_loaders, stage_root
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import MODEL_TABLE, get_model
from recbole_llmfashion.stage_store import StageStore, stage_seed
from recbole_llmfashion.trainer import recbole_models
from recbole_llmfashion.trainer.cold_token import (
    WiderDataset,
    apply_cold_rows,
    check_cold_token,
    cold_items,
    cold_rows_applied,
    init_rows,
)
from recbole_llmfashion.trainer.recbole_models import RecBoleTrainer, train_or_load
from tests.helpers.fakes import INTER, ITEM, purchases_only, replace_test_targets, write_tiny

ID_MODELS = ("GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE")


def config_of(model, root, name="bought", **keys):
    fixed = {"data_path": str(root), "checkpoint_dir": f"{root}/saved", "show_progress": False}
    overrides = {**fixed, "epochs": 1, "train_batch_size": 64, "cold_token": True, **keys}
    return load_config(get_model(model).model, name, overrides=overrides)


def test_which_items_by_hand():
    # positions 0 and 5 were never seen, 1 and 3 once; their ids are 1, 6, 2 and 4
    items = cold_items(np.array([0, 1, 3, 1, 2, 0]))
    assert items.token == 2 and items.replaced == 2 and items.cold.tolist() == [1, 2, 4, 6]
    assert items.replacement[torch.tensor([[3, 4, 2], [6, 1, 0]])].tolist() == [[3, 2, 2], [6, 1, 0]]


def test_nothing_seen_once_replaces_nothing():
    items = cold_items(np.array([0, 2, 3]))
    assert items.token is None and items.replaced == 0 and items.cold.tolist() == [1]
    assert items.replacement.tolist() == [0, 1, 2, 3]


class Hand(nn.Module):
    """Ids 0 to 3, row 4 a mask, one bias an item; `layer` happens to have as many rows as there are items."""

    def __init__(self, n_items=4, start=0.0):
        super().__init__()
        rows = torch.arange(n_items + 1.0)[:, None] + torch.tensor([start, start + 0.5])
        self.item = nn.Embedding.from_pretrained(rows, freeze=False)
        self.bias = nn.Parameter(torch.arange(n_items) * 10.0)
        self.layer = nn.Linear(4, 4)


def test_rows_by_hand():
    items = cold_items(np.array([1, 0, 7]))  # id 1 once and the token, id 2 never, id 3 warm
    fresh = init_rows(Hand(start=0.25), Hand(5), 4, items.cold)
    assert {name: rows.tolist() for name, rows in fresh.items()} == {
        "item.weight": [[1.25, 1.75], [2.25, 2.75]], "bias": [10.0, 20.0],
    }  # fmt: skip
    model = Hand(start=100)
    layer = model.layer.weight.clone()
    before = apply_cold_rows(model, items.token, items.cold, fresh)
    assert model.item.weight.tolist() == [
        [100.0, 100.5], [102.25, 103.25], [103.25, 104.25], [103.0, 103.5], [104.0, 104.5],
    ]  # fmt: skip
    assert model.bias.tolist() == [0.0, 20.0, 30.0, 30.0]
    assert torch.equal(model.layer.weight, layer)
    assert before["item.weight"].tolist() == [[101.0, 101.5], [102.0, 102.5]] and before["bias"].tolist() == [10, 20]


def test_without_a_token_the_rows_are_the_fresh_ones():
    model, cold = Hand(start=100), torch.tensor([2])
    apply_cold_rows(model, None, cold, init_rows(Hand(), Hand(5), 4, cold))
    assert model.item.weight[2].tolist() == [2.0, 2.5] and model.item.weight[1].tolist() == [101.0, 101.5]


def test_a_finished_model_is_what_it_was_afterwards():
    items = cold_items(np.array([1, 0, 7]))
    model = Hand(start=100)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(RuntimeError), cold_rows_applied(model, items, init_rows(Hand(), Hand(5), 4, items.cold)):
        assert model.item.weight[2].tolist() == [103.0, 104.0]
        raise RuntimeError
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_items_known_otherwise_are_refused():
    class Across(nn.Module):
        def __init__(self, n_items):
            super().__init__()
            self.by_column = nn.Linear(n_items, 2)

    cold = torch.tensor([1])
    with pytest.raises(UserError, match=r"Across\.by_column\.weight does not have one row per item"):
        init_rows(Across(4), Across(5), 4, cold)
    with pytest.raises(UserError, match="Linear has no row per item"):
        init_rows(nn.Linear(4, 4), nn.Linear(4, 4), 4, cold)


@pytest.fixture(scope="module")
def bought(tmp_path_factory):
    """Twenty users, five purchases each: forty items, some seen once in the training part, some never."""
    root = tmp_path_factory.mktemp("cold")
    purchases_only(root, users=20, items=60, length=5)
    return root


def every_row(loader):
    return loader._dataset[list(range(len(loader._dataset)))]


@pytest.mark.parametrize("name", ID_MODELS)
def test_every_id_model_follows_the_rule(bought, name, monkeypatch):
    config = config_of(name, bought)
    seen = {}

    def spy(model, *rule):
        seen["trained"] = {key: parameter.detach().clone() for key, parameter in model.named_parameters()}
        return apply_cold_rows(model, *rule)

    def fit(trainer, train_data, *args, **kwargs):
        seen["rows"] = every_row(train_data)
        return fit_of(trainer, train_data, *args, **kwargs)

    fit_of = recbole_models.ColdTokenTrainer.fit
    monkeypatch.setattr(recbole_models, "apply_cold_rows", spy)
    monkeypatch.setattr(recbole_models.ColdTokenTrainer, "fit", fit)
    loaders = make_loaders(config)
    store = StageStore(stage_root(config))
    trainer = RecBoleTrainer(config, config.model_class(config, loaders.train._dataset))
    trainer.set_data(loaders, store, no_core)
    trainer.fit(loaders.train, loaders.valid)
    model, folder = trainer.model, train_or_load(config, loaders, store)

    counts = loaders.dataset.popularity()
    once, cold = np.flatnonzero(counts == 1) + 1, np.flatnonzero(counts <= 1) + 1
    assert len(once) > 5 and len(cold) > len(once) + 2 and (counts > 1).sum() > 5
    plain = every_row(loaders.train)
    for column in plain.columns:
        expected = plain[column].numpy()
        if column in ("item_id", "item_id_list"):
            expected = np.where(np.isin(expected, once), once[0], expected)
        np.testing.assert_array_equal(seen["rows"][column].numpy(), expected)
    assert not np.array_equal(seen["rows"]["item_id"].numpy(), plain["item_id"].numpy())

    init_seed(stage_seed(config["seed"], "cold_token"), True)
    fresh = dict(config.model_class(config, loaders.train._dataset).named_parameters())
    by_item = {"item_embedding.weight"} | ({"output_bias"} if name == "BERT4Rec" else set())
    for key, parameter in model.named_parameters():
        expected = seen["trained"][key].clone()
        if key in by_item:
            expected[cold] = fresh[key][cold] + seen["trained"][key][once[0]]
        torch.testing.assert_close(parameter.detach(), expected, rtol=0, atol=0)
    fit_report = json.loads((folder / "fit.json").read_text())
    assert fit_report["cold_token"] == {"items_replaced": len(once), "items_finished": len(cold)}
    trainer.eval_collector.data_collect(loaders.train)
    assert trainer._valid_epoch(loaders.valid)[1] == fit_report["valid"]  # what stopped it is what was kept


def test_the_plain_row_is_the_stage_that_it_was(bought):
    store, inputs = StageStore(bought / "plain"), {}
    for token in (False, True):
        config = config_of("GRU4Rec", bought, cold_token=token)
        folder = train_or_load(config, make_loaders(config), store)
        inputs[token] = json.loads((folder / "stage.json").read_text())["inputs"]
    assert "cold_token" not in json.dumps(inputs[False])
    assert {key: value for key, value in inputs[True].items() if key != "cold_token"} == inputs[False]


def test_test_targets_change_nothing(bought, tmp_path):
    keys = {"click_filter": "none", "checkpoint_dir": str(tmp_path)}
    first = run_experiment(config_of("SASRec", bought, **keys))
    replace_test_targets(bought / "bought", tmp_path / "other/bought")
    again = run_experiment(config_of("SASRec", tmp_path / "other", **keys))
    assert again.reused == ["train_SASRec"] and again.valid == first.valid
    assert again.ranks["top"].map(list).tolist() == first.ranks["top"].map(list).tolist()


def test_only_id_models_have_it():
    for name in MODEL_TABLE:
        with pytest.raises(UserError, match=f"cold_token: .*not for {name};"):
            MODEL_TABLE[name].trainer.validate_config(config_of(name, "nowhere"))
    check_cold_token(config_of("CORE", "nowhere"))
    check_cold_token(config_of("Popularity", "nowhere", cold_token=False))


def test_one_item_more_changes_nothing_else(bought):
    dataset = make_loaders(config_of("CORE", bought)).dataset
    wider = WiderDataset(dataset)
    assert wider.item_num == wider.num("item_id") == dataset.item_num + 1
    assert wider.num("user_id") == dataset.num("user_id") and wider.inter_feat is dataset.inter_feat


def test_the_token_lifts_cold_targets_where_the_data_say_so(tmp_path):
    """After `mark` everybody buys something that nobody else ever buys; the targets are such things."""
    inter, items = [INTER.splitlines()[0]], ["mark", *(f"w{i}" for i in range(10))]
    rng = np.random.default_rng(0)
    for user in range(60):
        warm = [f"w{i}" for i in rng.integers(0, 10, 4)]
        taken = [warm[0], warm[1], "mark", f"once{user}", warm[2], warm[3], "mark", f"new{user}"]
        items += [taken[3], taken[7]]
        inter += [f"u{user}\t{item}\tpurchase\t{time}" for time, item in enumerate(taken)]
    text = ITEM.splitlines()[0] + "\n" + "".join(f"{item}\ttitle\t\t\t\t\n" for item in items)
    write_tiny(tmp_path, "\n".join(inter) + "\n", "", text, "marked")
    ranks = {}
    for token in (False, True):
        keys = {"epochs": 8, "learning_rate": 0.01, "n_layers": 1, "cold_token": token, "stopping_step": 100}
        ranks[token] = run_experiment(config_of("SASRec", tmp_path, "marked", **keys)).ranks["rank"].mean()
    # 131 items: the model without it puts what it never saw behind everything, the token the 120 cold ones first
    assert ranks[True] < 70 < 85 < ranks[False]
