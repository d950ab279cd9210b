"""RecBole's models by tiles: the ranks are those of RecBole's own scores."""

import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.model import sequential_recommender as recbole
from recbole.trainer import Trainer

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.evaluation.collector import RankCollector
from recbole_llmfashion.model import tiled_scores
from recbole_llmfashion.model.sasrec_sampled import SASRecSampled
from recbole_llmfashion.model.tiled_scores import SEQUENCES, dot_orders
from recbole_llmfashion.retrieval.ties import order_by_score
from recbole_llmfashion.trainer.recbole_models import make_trainer
from tests.helpers.fakes import write_tiny
from tests.helpers.orders import full_order

TIE = torch.tensor([3, 0, 2, 1, 5, 4])
BATCH = {"item_id_list": torch.tensor([[1, 2, 3], [6, 5, 0], [4, 0, 0]]), "item_length": torch.tensor([3, 2, 1])}


def make(root, model_class, **keys):
    write_tiny(root)
    overrides = {"data_path": str(root), "topk": [3], "MAX_ITEM_LIST_LENGTH": 3, **keys}
    config = load_config(model_class, "tiny", overrides=overrides)
    loaders = make_loaders(config)
    torch.manual_seed(0)
    return config, loaders, model_class(config, loaders.train._dataset).eval()


def whole_numbers(model):
    """Weights whose products are exact in any order of summation."""
    with torch.no_grad():
        model.item_embedding.weight.copy_(torch.randint(-2, 3, model.item_embedding.weight.shape).float())


@pytest.mark.parametrize(
    ("model_class", "keys"),
    [*((model, {}) for model in SEQUENCES), (SASRecSampled, {"similarity": "cosine"})],
    ids=str,
)
def test_the_order_is_that_of_recboles_own_scores(tmp_path, model_class, keys, monkeypatch):
    _, _, model = make(tmp_path, model_class, **keys)
    batch = Interaction(BATCH)
    assert dot_orders(model, TIE) is None  # one tile: RecBole's own scores
    monkeypatch.setattr(tiled_scores, "TILE", 4)
    ordered = dot_orders(model, TIE)
    with torch.no_grad():
        assert torch.equal(full_order(ordered(batch)), order_by_score(model.full_sort_predict(batch)[:, 1:], TIE))


def test_other_models_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(tiled_scores, "TILE", 4)
    assert dot_orders(make(tmp_path, recbole.STAMP)[2], TIE) is None


@pytest.mark.parametrize("mask", [False, True])
def test_an_evaluation_by_tiles_is_recboles(tmp_path, monkeypatch, mask):
    """Whole numbers for the sequences too, so that no bit depends on the tile; ties are in every row."""
    config, loaders, model = make(tmp_path, recbole.SASRec, mask_history=mask)
    whole_numbers(model)
    model.forward = lambda items, length: (items[:, :1] % 3 - 1.0).expand(-1, model.hidden_size)
    found = []
    for tile in (10, 4):
        monkeypatch.setattr(tiled_scores, "TILE", tile)
        trainer = make_trainer(config, model, Trainer, TIE.numpy())
        assert (trainer._ordered is not None) is (tile == 4)
        trainer.eval_collector = collector = RankCollector(config, TIE.numpy())
        trainer.evaluate(loaders.test, load_best_model=False)
        found.append(collector.take_ranks()["rank"].tolist())
    assert found[0] == found[1] and len(found[0]) == len(loaders.test._dataset)
