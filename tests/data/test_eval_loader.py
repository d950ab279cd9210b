import pytest
import torch
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.eval_loader import MEGABYTE, EvalLoader
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt import dataloader
from recbole_llmfashion.retrieval import scored_order
from tests.helpers.fakes import write_tiny


def test_users_at_once(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    monkeypatch.setattr(EvalLoader, "score_bytes", MEGABYTE // 7)  # six items and the pad row: a megabyte a user

    def batches(**keys):
        config = load_config(SASRec, "tiny", overrides={"data_path": str(tmp_path), "topk": [3], **keys})
        loader = make_loaders(config).test
        users = [interaction["user_id"] for interaction, *_ in loader]
        assert torch.equal(torch.cat(users), loader._dataset.inter_feat["user_id"])
        return [len(part) for part in users]

    assert batches() == [3]
    assert batches(eval_batch_size=2) == [2, 1]
    assert batches(eval_memory_mb=2) == [2, 1] and batches(eval_memory_mb=3, eval_batch_size=2) == [2, 1]
    assert batches(eval_memory_mb=1) == [1, 1, 1]
    monkeypatch.setattr(EvalLoader, "score_bytes", MEGABYTE // 3)
    with pytest.raises(UserError, match="eval_memory_mb: 2 is too small to rank 6 items for one user; take at least 3"):
        batches(eval_memory_mb=2)


def test_a_metric_of_whole_lists_takes_more(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    monkeypatch.setattr("recbole_llmfashion.data.eval_loader.WHOLE_BYTES", MEGABYTE)
    keys = {"data_path": str(tmp_path), "topk": [3], "eval_memory_mb": 6}
    assert len(make_loaders(load_config(SASRec, "tiny", overrides={**keys, "metrics": ["Recall", "NDCG"]})).test) == 1
    with pytest.raises(UserError, match="take at least 7"):
        make_loaders(load_config(SASRec, "tiny", overrides={**keys, "metrics": ["NDCG", "GAUC"]}))


def test_the_lists_take_no_more_than_a_tile():
    assert dataloader.TILE == scored_order.TILE
    each = dataloader.LLMFashionRecDataLoader.user_bytes
    assert each(3000) < each(scored_order.TILE) == each(10_000_000) < 8 * MEGABYTE
