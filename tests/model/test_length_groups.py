"""Rows in groups of similar length: RecBole's loss, gradients and scores, from fewer padded positions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recbole.model import sequential_recommender as recbole
from recbole.utils import init_seed

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders, rows_of
from recbole_llmfashion.model.length_groups import by_length, encodes_groups, group_by_length
from recbole_llmfashion.model.sasrec_sampled import SASRecSampled
from recbole_llmfashion.model.text_sasrec import TextSASRec
from tests.helpers.fakes import INTER, ITEM, write_tiny

MODELS = [recbole.CORE, recbole.GRU4Rec, recbole.SASRec, recbole.BERT4Rec, TextSASRec]

OWN = {recbole.BERT4Rec: {"ft_ratio": 0.0}}  # else half of its batches have one masked item per row


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Users of 3 to 30 actions; a row has 20 places."""
    rng, head = np.random.default_rng(1), INTER.splitlines()[0]
    rows = [f"u{u}\ti{rng.integers(30)}\tpurchase\t{t}" for u in range(12) for t in range((3, 5, 9, 30)[u % 4])]
    item = ITEM.splitlines()[0] + "\n" + "".join(f"i{i}\ttitle {i}\t\t\t\t\n" for i in range(30))
    root = tmp_path_factory.mktemp("groups")
    write_tiny(root, "\n".join([head, *rows]) + "\n", "", item, "lengths")
    return root


@pytest.fixture(params=MODELS, ids=lambda model: model.__name__)
def case(shop, request):
    """A model without dropout, and a batch of its training rows."""
    return built(shop, request.param)


def built(shop, model_class):
    keys = {"data_path": str(shop), "show_progress": False, "topk": [10], "valid_metric": "NDCG@10"}
    config = load_config(model_class, "lengths", (), {**keys, **OWN.get(model_class, {}), "train_batch_size": 64})
    loaders = make_loaders(config)
    init_seed(3, True)
    model = model_class(config, rows_of(loaders.train))
    if model_class is TextSASRec:
        model.attach(np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model, next(iter(loaders.train))


def gradients(model, batch):
    """The loss, and the gradients by name."""
    model.zero_grad()
    loss = model.calculate_loss(batch)
    loss.backward()
    return loss.detach(), {
        name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None
    }


def positions(model, monkeypatch):
    """Counts the positions that a model looks up items for."""
    seen = []
    monkeypatch.setattr(
        model.item_embedding, "forward", lambda items, of=model.item_embedding.forward: seen.append(items) or of(items)
    )
    return lambda: sum(items.numel() for items in seen)


def test_loss_and_gradients_are_recboles(case, monkeypatch):
    model, batch = case
    count = positions(model, monkeypatch)
    loss, expected = gradients(model, batch)
    padded = count()
    group_by_length(model)
    grouped, found = gradients(model, batch)
    torch.testing.assert_close(grouped, loss)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert len(batch) == 64 and padded == 64 * 20
    assert batch["item_length"].sum() <= count() - padded < 0.7 * padded


def test_bert4rec_learns_nothing_from_a_batch_without_masked_items(shop):
    model, batch = built(shop, recbole.BERT4Rec)
    batch[model.MASK_INDEX][:] = 0
    group_by_length(model)
    loss, found = gradients(model, batch)
    assert loss == 0 and list(found) == ["output_bias"] and not found["output_bias"].any()


def test_scores_are_recboles(case):
    model, batch = case
    model.eval()
    with torch.no_grad():
        expected = model.full_sort_predict(batch), model.predict(batch)
        group_by_length(model)
        torch.testing.assert_close((model.full_sort_predict(batch), model.predict(batch)), expected)


def test_weights_have_the_names_of_before(case):
    model, _ = case
    names = list(model.state_dict())
    group_by_length(model)
    assert list(model.state_dict()) == names


def test_other_models_are_left_alone(shop):
    assert all(map(encodes_groups, MODELS))
    for model in (recbole.NextItNet, recbole.STAMP, recbole.NARM, SASRecSampled):
        assert not encodes_groups(model)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.sampled_from([1, 2, 8]))
def test_groups_hold_each_row_once_and_little_padding(lengths, short):
    groups = by_length(torch.tensor(lengths), short)
    assert sorted(row for rows in groups for row in rows.tolist()) == list(range(len(lengths)))
    for rows in groups:
        of = [lengths[row] for row in rows]
        assert max(of) <= max(short, 2 * min(of))


def test_groups_by_hand():
    lengths = torch.tensor([1, 2, 3, 4, 5, 50])
    assert [rows.tolist() for rows in by_length(lengths)] == [[0, 1], [2, 3], [4], [5]]
