"""Popularity by hand: counts of training actions, ties by the fixed order, the same list in each row."""

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders, rows_of
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.model.popularity import Popularity
from tests.helpers.fakes import INTER, ITEM, write_tiny

# training actions: u1 a, b; u2 a, b, c; u3 c, d; the last two of each user are validation and test
ACTIONS = (("u1", "abdd"), ("u2", "abcdd"), ("u3", "cdaa"))
ROWS = [f"{user}\t{item}\tpurchase\t{time}" for user, items in ACTIONS for time, item in enumerate(items)]
ITEMS = ITEM.splitlines()[0] + "\n" + "".join(f"{item}\ttitle {item}\t\t\t\t\n" for item in "abcde")


@pytest.fixture
def model(tmp_path):
    write_tiny(tmp_path, "\n".join([INTER.splitlines()[0], *ROWS]) + "\n", "", ITEMS)
    config = load_config(Popularity, "tiny", overrides={"data_path": str(tmp_path), "topk": [3]})
    return Popularity(config, rows_of(make_loaders(config).train))


def test_order(model):
    rank = tie_rank(list("abcde"))
    expected = [*sorted([0, 1, 2], key=lambda position: rank[position]), 3, 4]  # two actions each; one; none
    order = model.ordered(Interaction({"user_id": torch.tensor([1, 2])}))
    assert order.top(5).tolist() == [expected] * 2


def test_scores(model):
    scores = model.full_sort_predict(Interaction({"user_id": torch.tensor([1, 2, 3])}))
    assert scores.shape == (3, 6) and bool(scores.isfinite().all()) and bool((scores == scores[0]).all())
    assert scores[0].argsort(descending=True)[3:].tolist() == [4, 5, 0]  # d, e, then the pad
    assert model.predict(Interaction({"item_id": torch.tensor([5, 4])})).tolist() == scores[0, [5, 4]].tolist()
