"""SASRecSampled: its loss by hand, its parameters and scores those of RecBole's SASRec."""

import math

import numpy as np
import pytest
import torch
from recbole.data.dataloader import TrainDataLoader
from recbole.model.sequential_recommender import SASRec
from torch.nn.functional import cross_entropy

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders, rows_of
from recbole_llmfashion.data.whole_sequences import whole_sequences
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.sasrec_sampled import SASRecSampled, softmax_losses
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config as by_name
from tests.helpers.fakes import INTER, ITEM, purchases_only, write_tiny

# items 1, 2, 3 and 4; a state of (1, 0) scores them 0, 1, 2 and 3, one of (0, 1) scores them 1
TABLE = torch.tensor([[9.0, 9.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
STATES = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])


def test_the_loss_by_hand():
    """Targets 3 and 2; the last position has none. Negatives 1 and 4 for both."""
    losses = softmax_losses(STATES, torch.tensor([[3, 2, 0]]), torch.tensor([[1, 4]]), TABLE)
    first = -math.log(math.exp(2) / (math.exp(2) + math.exp(0) + math.exp(3)))
    assert losses.tolist() == pytest.approx([first, math.log(3)])  # 1.3490 and three equal scores


def test_a_negative_that_is_the_target_does_not_count():
    """At the first position 3 is the target, so only 1 is left; at the second position both count, 1 twice."""
    losses = softmax_losses(STATES, torch.tensor([[3, 2, 0]]), torch.tensor([[1, 3, 1]]), TABLE)
    first = -math.log(math.exp(2) / (math.exp(2) + 2 * math.exp(0)))
    assert losses.tolist() == pytest.approx([first, math.log(4)])
    alone = softmax_losses(STATES, torch.tensor([[3, 0, 0]]), torch.tensor([[3]]), TABLE)
    assert alone.tolist() == [0.0]


def test_a_target_without_another_item_has_no_gradient():
    """With few negatives all of a sequence's may be the target of a position, which then has nothing to learn."""
    states, table = STATES.clone().requires_grad_(), TABLE.clone().requires_grad_()
    softmax_losses(states, torch.tensor([[3, 2, 0]]), torch.tensor([[3, 3]]), table).sum().backward()
    learned, rows = states.grad[0], table.grad
    assert not learned[0].any() and learned[1].isfinite().all() and learned[1].any()
    assert rows.isfinite().all() and rows[[2, 3]].any()


def test_cosine_scores_by_hand(shop):
    """A state (3, 4) is (0.6, 0.8) divided by 0.5; the item rows (0, 2) and (5, 0) become unit rows."""
    _, model, part = built(shop, "lengths", similarity="cosine", softmax_temperature=0.5, hidden_size=2, n_heads=1)
    model.eval()
    with torch.no_grad():
        model.item_embedding.weight[1:3] = torch.tensor([[0.0, 2.0], [5.0, 0.0]])
    torch.testing.assert_close(model._scaled(torch.tensor([[3.0, 4.0]])), torch.tensor([[1.2, 1.6]]))
    torch.testing.assert_close(model.item_rows()[1:3], torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    batch = part[torch.arange(4)]
    scores = model.full_sort_predict(batch)
    assert (scores.abs() <= 2.0 + 1e-5).all()  # a cosine of at most 1, divided by 0.5
    expected = model.item_rows() @ model(batch["item_id_list"], batch["item_length"]).T
    torch.testing.assert_close(scores, expected.T)
    batch["item_id"] = torch.tensor([1, 2, 1, 2])
    torch.testing.assert_close(model.predict(batch), scores[torch.arange(4), batch["item_id"]])


KEYS = {"show_progress": False, "topk": [10], "valid_metric": "NDCG@10"}


def built(root, name, **keys):
    """The model by its class, untrained, and its training part."""
    config = load_config(SASRecSampled, name, (), {"data_path": str(root), **KEYS, **keys})
    part = rows_of(make_loaders(config).train)
    return config, SASRecSampled(config, part), part


@pytest.fixture
def shop(tmp_path):
    """Users of three to nine actions."""
    rng, head = np.random.default_rng(1), INTER.splitlines()[0]
    rows = [f"u{u}\ti{rng.integers(30)}\tpurchase\t{t}" for u in range(40) for t in range(3 + u % 20)]
    item = ITEM.splitlines()[0] + "\n" + "".join(f"i{i}\ttitle {i}\t\t\t\t\n" for i in range(30))
    write_tiny(tmp_path, "\n".join([head, *rows]) + "\n", "", item, "lengths")
    return tmp_path


def test_parameters_and_scores_are_those_of_recboles_class(shop):
    config, model, part = built(shop, "lengths")
    recbole = SASRec(config, part)
    recbole.load_state_dict(model.state_dict())
    batch = part[torch.arange(12)]
    model.eval(), recbole.eval()
    torch.testing.assert_close(model.full_sort_predict(batch), recbole.full_sort_predict(batch))
    # the state that RecBole reads is that of the last position
    last = model.states(batch["item_id_list"])[torch.arange(12), batch["item_length"] - 1]
    torch.testing.assert_close(last, recbole(batch["item_id_list"], batch["item_length"]))


@pytest.mark.parametrize("negatives", [0, 29, 1000])
def test_without_sampling_the_loss_is_that_of_recboles_rows(shop, negatives):
    """One loss per training row, over every item but the pad; rows of different lengths are encoded apart."""
    config, model, part = built(shop, "lengths", n_negatives=negatives, train_batch_size=512)
    model.eval()
    rows = part[torch.arange(len(part))]
    scores = model.full_sort_predict(rows)[:, 1:]
    (batch,) = TrainDataLoader(config, whole_sequences(part), None, shuffle=False)
    assert len(batch) < len(part) and batch["item_length"].max() > 8
    torch.testing.assert_close(model.calculate_loss(batch), cross_entropy(scores, rows["item_id"] - 1))


def test_negatives_are_drawn_uniformly_and_never_the_pad(shop):
    _, model, _ = built(shop, "lengths", n_negatives=20)
    torch.manual_seed(0)
    drawn = model._drawn(2000)
    assert drawn.shape == (2000, 20)
    counts = torch.bincount(drawn.flatten(), minlength=31).float()
    assert counts[0] == 0 and len(counts) == 31 and counts[1:].min() > 0.85 * counts[1:].mean()


def test_keys():
    assert by_name("SASRecSampled", "tiny")["n_negatives"] == 0
    with pytest.raises(UserError, match="n_negatives: expected a whole number of 0 or more, found '-1'"):
        by_name("SASRecSampled", "tiny", overrides={"n_negatives": -1})
    with pytest.raises(UserError, match="loss_type: expected CE for SASRecSampled, found 'BPR'"):
        by_name("SASRecSampled", "tiny", overrides={"loss_type": "BPR"})
    with pytest.raises(UserError, match="n_negatives: a key of SASRecSampled, not of a model"):
        by_name("SASRec", "tiny", overrides={"n_negatives": 1})


def ndcg(root, name):
    keys = {
        "data_path": str(root),
        "checkpoint_dir": str(root / "saved"),
        "epochs": 14,
        "learning_rate": 0.003,
        "n_negatives": 40,
    }
    return run_experiment(by_name("SASRecSampled", name, overrides=KEYS | keys)).metrics["ndcg@10"]


def test_learns_on_structure_and_stays_low_on_noise(tmp_path):
    """Users who go through the items of a ring in order, against users who take any."""
    rng, head = np.random.default_rng(0), INTER.splitlines()[0]
    starts = rng.integers(0, 200, 120)
    rows = [f"u{u}\ti{(start + t) % 200}\tpurchase\t{t}" for u, start in enumerate(starts) for t in range(8)]
    item = ITEM.splitlines()[0] + "\n" + "".join(f"i{i}\ttitle {i}\t\t\t\t\n" for i in range(200))
    write_tiny(tmp_path, "\n".join([head, *rows]) + "\n", "", item, "ring")
    purchases_only(tmp_path, users=120, items=200, length=8)
    chance = sum(1 / np.log2(rank + 1) for rank in range(1, 11)) / 200  # 0.023
    structured, noise = ndcg(tmp_path, "ring"), ndcg(tmp_path, "bought")
    assert structured > 10 * chance and noise < 3 * chance
