"""The trainer of QueryMemory; what it shares with the LLMFashionRec row is in tests/model/test_query_memory.py."""

from collections import Counter

import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.dataset import HISTORY_LENGTH
from recbole_llmfashion.data.loaders import make_loaders, stage_root
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.query_memory import QueryMemory
from recbole_llmfashion.pipeline.training import TrainedModels
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.query_memory import QueryMemoryTrainer
from tests.helpers.fakes import INTER, SEARCH, SMALL, write_tiny

BUYS = "".join(f"u{u}\t{11 + (u + i) % 6}\tpurchase\t{1701000000 + 100 * i}\n" for u in (4, 5) for i in range(5))
SEARCHES = "".join(f"u{u}\t{1701000050 + 100 * i}\t{['red', 'blue'][u % 2]} {i}\t\n" for u in (4, 5) for i in (0, 1))


def config_of(root, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    names = {name: value for name, value in SMALL.items() if name != "epochs"}
    return load_config(QueryMemory, "tiny", (), {**names, **folders, **keys}, ["LLMFashionRec"])


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """A trainer of a log with searches, and its loaders; the LLM and CORE must not be used."""
    write_tiny(tmp_path, INTER + BUYS, SEARCH + SEARCHES)
    monkeypatch.setattr(TrainedModels, "llm", property(lambda self: pytest.fail("the LLM was used")))
    config = config_of(tmp_path)
    loaders = make_loaders(config)
    trainer = QueryMemoryTrainer(config, QueryMemory(config, loaders.train._dataset))
    trainer.set_data(loaders, StageStore(stage_root(config)), lambda: pytest.fail("CORE was used"))
    return trainer, loaders


def test_stages_and_last_queries(trainer, tmp_path):
    trainer, loaders = trainer
    made = {path.name.split("-")[0] for path in (tmp_path / "saved/tiny/stages").glob("*-*")}
    assert made == {"clip", "title"} and trainer.tuned_as == "LLMFashionRec"
    feat, found = loaders.test._dataset.inter_feat, {}
    for user, length in zip(feat["user_id"].tolist(), feat[HISTORY_LENGTH].tolist(), strict=True):
        query, products = trainer.model.last_query(user, length)
        found[loaders.dataset.id2token("user_id", user)] = query, len(products)
    assert found == {
        "u1": ("red boot", 2), "u2": (None, 0), "u3": ("black sandals", 2), "u4": ("red 1", 2), "u5": ("blue 1", 2),
    }  # fmt: skip


def test_sources_are_counted_from_zero_in_each_evaluation(trainer):
    trainer, loaders = trainer
    trainer.model.sources = Counter({"memory": 99})
    trainer.fit(loaders.train, loaders.valid)
    for _ in range(2):
        trainer.evaluate(loaders.test)
        assert sum(trainer.model.sources.values()) == len(loaders.test._dataset) == 5
    details = trainer.result_details(loaders)
    assert details["sources"] == {"memory": 0.8, "title": 0.0, "popularity": 0.2}  # u2 never searched
    assert details["clip"] == "trained on the log" and details["title_pairs"] == "queries"


def test_keys_of_the_memory_are_those_of_the_llm_row(tmp_path):
    QueryMemoryTrainer.validate_config(config_of(tmp_path))
    for key, value in (("memory_neighbors", 0), ("mixup_k", 0), ("ranking", "best")):
        with pytest.raises(UserError, match=f"{key}: expected "):
            QueryMemoryTrainer.validate_config(config_of(tmp_path, **{key: value}))
