import numpy as np
import pytest
import torch
from recbole.evaluator.register import Register
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.eval_loader import MEGABYTE, EvalLoader, heads_alone
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt import dataloader
from recbole_llmfashion.retrieval import scored_order
from tests.helpers.fakes import write_tiny


def tiny_loader(root, **keys):
    return make_loaders(load_config(SASRec, "tiny", overrides={"data_path": str(root), "topk": [3], **keys})).test


def test_users_per_batch(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    monkeypatch.setattr(EvalLoader, "score_bytes", MEGABYTE // 7)  # six items and the pad row: a megabyte per user

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
    with pytest.raises(UserError, match="eval_memory_mb: 2 is too small to rank 6 items for one user; set at least 3"):
        batches(eval_memory_mb=2)


def test_history(tmp_path):
    write_tiny(tmp_path)
    loader = tiny_loader(tmp_path, mask_history=True)
    # internal ids are 1 for item 16, 2 for 11, .., 6 for 15
    index, items = loader.history(np.array([0, 1, 2]))
    assert index.tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 2]
    assert items.tolist() == [2, 3, 4, 5, 6, 3, 1, 2, 3]
    (batch,) = loader
    assert [part.tolist() for part in batch[1]] == [index.tolist(), items.tolist()]
    (batch,) = tiny_loader(tmp_path, mask_history=False)
    assert batch[1] is None


def test_heads_alone():
    for metrics, expected in [(["Recall", "NDCG", "MRR"], True), (["Recall", "GAUC"], False), (["GAUC"], False)]:
        config = {"metrics": metrics, "topk": [3], "eval_args": {"mode": {"valid": "full", "test": "full"}}}
        assert heads_alone(Register(config)) is expected


def test_metrics_of_whole_lists_need_more_memory(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    monkeypatch.setattr("recbole_llmfashion.data.eval_loader.WHOLE_BYTES", MEGABYTE)
    keys = {"data_path": str(tmp_path), "topk": [3], "eval_memory_mb": 6}
    assert len(make_loaders(load_config(SASRec, "tiny", overrides={**keys, "metrics": ["Recall", "NDCG"]})).test) == 1
    with pytest.raises(UserError, match="set at least 7"):
        make_loaders(load_config(SASRec, "tiny", overrides={**keys, "metrics": ["NDCG", "GAUC"]}))


def test_memory_per_user_is_bounded_by_a_tile():
    assert dataloader.TILE == scored_order.TILE
    user_bytes = dataloader.LLMFashionRecDataLoader.user_bytes
    assert user_bytes(3000) < user_bytes(scored_order.TILE) == user_bytes(10_000_000) < 8 * MEGABYTE
