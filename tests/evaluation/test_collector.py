"""Ranks and metrics collected in RecBole's evaluation loop."""

import numpy as np
import pandas as pd
import torch
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector, Evaluator
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.evaluation.collector import HeadCollector, RankCollector, full_rank_mrr


def test_ranks_with_ties_and_padding_column():
    collector = RankCollector(load_config(SASRec, "x", overrides={"topk": [2]}), np.array([2, 0, 1]))
    scores = torch.tensor([[-np.inf, 0.5, 0.9, 0.1], [-np.inf, 0.3, 0.3, 0.3], [-np.inf, 0.3, 0.3, 0.3]])
    target = torch.tensor([1, 1, 3])
    rows = Interaction({"user_id": torch.tensor([7, 8, 9])})
    collector.eval_batch_collect(scores, rows, torch.arange(3), target)
    ranks = collector.take_ranks()
    # equal scores: items 1, 2, 3 are ordered by their hash ranks 2, 0, 1
    assert ranks[["user", "target", "rank"]].to_numpy().tolist() == [[7, 1, 2], [8, 1, 3], [9, 3, 2]]
    assert ranks["top"][0].tolist() == [2, 1]
    assert len(collector.take_ranks()) == 0


def test_full_rank_mrr():
    assert full_rank_mrr(pd.DataFrame({"rank": [1, 2, 20]})) == (1 + 0.5 + 0.05) / 3


TOPK = ["Recall", "NDCG", "MRR", "Hit", "Precision", "MAP"]


def both(metrics, scores, target):
    """Metrics from RecBole's collector and from ours, for the same tensors in two batches."""
    config = load_config(SASRec, "x", overrides={"topk": [1, 3, 10], "metrics": metrics, "metric_decimal_place": 9})
    metrics_of = []
    for collector in (Collector(config), HeadCollector(config)):
        for rows in (slice(0, 20), slice(20, None)):
            part = Interaction({"user_id": torch.arange(len(target))[rows]})
            collector.eval_batch_collect(scores[rows], part, torch.arange(len(target[rows])), target[rows])
        metrics_of.append(Evaluator(config).evaluate(collector.get_data_struct()))
    return metrics_of


def test_metrics_equal_recbole():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 12, (50, 41), generator=generator).float()  # ties in every row
    target = torch.randint(1, 41, (50,), generator=generator)
    theirs, ours = both(TOPK, scores, target)
    assert ours == theirs and 0 < ours["recall@3"] < ours["recall@10"] < 1


def test_other_metrics_use_recboles_collection():
    generator = torch.Generator().manual_seed(0)
    scores, target = torch.randn(30, 15, generator=generator), torch.randint(1, 15, (30,), generator=generator)
    theirs, ours = both(["GAUC", "Recall"], scores, target)
    assert ours == theirs and "gauc" in ours


class TensorSizes(torch.overrides.TorchFunctionMode):
    """Records the size in bytes of the largest tensor that a torch function returns."""

    largest = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and func is not torch.Tensor.__getitem__:
            self.largest = max(self.largest, result.numel() * result.element_size())
        return result


def test_no_matrix_of_users_by_items():
    config = load_config(SASRec, "x", overrides={"topk": [10]})
    scores, target = torch.randn(40, 5000), torch.ones(40, dtype=torch.long)
    for collector, is_created in ((HeadCollector(config), False), (Collector(config), True)):
        with TensorSizes() as counted:
            collector.eval_batch_collect(scores, Interaction({"user_id": target}), torch.arange(40), target)
        assert (counted.largest >= scores.numel()) is is_created
