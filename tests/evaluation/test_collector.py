"""Ranks and metrics collected in RecBole's evaluation loop."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector, Evaluator
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.evaluation_keys import recbole_metrics
from recbole_llmfashion.evaluation.collector import (
    HeadCollector,
    Ordered,
    RankCollector,
    full_rank_mrr,
    history_rows,
)
from tests.helpers.orders import fixed_orders


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


def test_ranks_of_orders_with_masked_items():
    """The same rows as orders and as scores; the items of the history, by RecBole's ids, are masked in both."""
    tie = np.array([2, 0, 3, 1])
    scores = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], [0.1, 0.4, 0.2, 0.3]])
    history, target = (torch.tensor([0, 1, 1]), torch.tensor([2, 1, 3])), torch.tensor([3, 4, 1])
    order = fixed_orders(scores.argsort(dim=1, descending=True).tolist())
    padded = torch.cat([torch.full((3, 1), -np.inf), scores], dim=1)
    padded[history] = -np.inf
    for given in (Ordered(order, history_rows(history, 3), torch.from_numpy(tie)), padded):
        collector = RankCollector(load_config(SASRec, "x", overrides={"topk": [2]}), tie)
        collector.eval_batch_collect(given, Interaction({"user_id": torch.tensor([7, 8, 9])}), torch.arange(3), target)
        ranks = collector.take_ranks()
        assert ranks[["target", "rank"]].to_numpy().tolist() == [[3, 2], [4, 2], [1, 4]]
        assert [top.tolist() for top in ranks["top"]] == [[1, 3], [2, 4], [2, 4]]


def test_masked_targets_come_before_the_pad_only():
    """A target of the history ties with other masked items and with the pad, which is behind them all."""
    collector = RankCollector(load_config(SASRec, "x", overrides={"topk": [1]}), np.array([2, 0, 1]))
    scores = torch.tensor([[-np.inf, -np.inf, 0.9, -np.inf]])
    collector.eval_batch_collect(
        scores, Interaction({"user_id": torch.tensor([7])}), torch.arange(1), torch.tensor([1])
    )
    assert collector.take_ranks()["rank"].tolist() == [3]


def test_history_rows():
    rows, items = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([5, 1, 4, 4, 2])
    assert history_rows((rows, items), 3).tolist() == [[4, 0, -1], [-1, -1, -1], [3, 1, -1]]
    assert history_rows(None, 2).shape == (2, 0)


def test_full_rank_mrr():
    assert full_rank_mrr(pd.DataFrame({"rank": [1, 2, 20]})) == (1 + 0.5 + 0.05) / 3


HEADS = [
    "Recall", "NDCG", "MRR", "Hit", "Precision", "MAP", "ItemCoverage", "AveragePopularity", "ShannonEntropy",
    "GiniIndex", "TailPercentage",
]  # fmt: skip
NAMES = [name for name, from_ranks in recbole_metrics().items() if from_ranks]


class RecBoleCollector(Collector):
    """RecBole's collector, but for its failure on the numbers of the training data, which are no tensors."""

    def get_data_struct(self):
        struct = self.data_struct
        for key, value in struct._data_dict.items():
            struct.set(key, value.cpu() if isinstance(value, torch.Tensor) else value)
        return struct


def training(n_items, n_users=50):
    """What a collector reads of the training data: item 1 is bought 30 times, item 2 29 times, .."""
    counts = Counter({item: max(1, 31 - item) for item in range(1, n_items)})
    numbers = {"item_id": n_items, "user_id": n_users}
    dataset = SimpleNamespace(num=numbers.__getitem__, item_counter=counts, user_counter=Counter({1: 2}))
    return SimpleNamespace(dataset=dataset)


def both(metrics, scores, target, **keys):
    """Metrics from RecBole's collector and from ours, for the same tensors in two batches, and our collector.

    Items with equal scores are in the order of their ids.
    """
    keys = {"topk": [1, 3, 10], "metrics": metrics, "metric_decimal_place": 9, **keys}
    config = load_config(SASRec, "x", overrides=keys)
    metrics_of = []
    for collector in (RecBoleCollector(config), HeadCollector(config, np.arange(scores.shape[1] - 1))):
        collector.data_collect(training(scores.shape[1]))
        for rows in (slice(0, 20), slice(20, None)):
            part = Interaction({"user_id": torch.arange(len(target))[rows]})
            collector.eval_batch_collect(scores[rows], part, torch.arange(len(target[rows])), target[rows])
        metrics_of.append(Evaluator(config).evaluate(collector.get_data_struct()))
    return *metrics_of, collector


def test_metrics_of_heads_equal_recbole():
    generator = torch.Generator().manual_seed(0)
    scores = torch.stack([torch.randperm(41, generator=generator) for _ in range(50)]).float()
    target = torch.randint(1, 41, (50,), generator=generator)
    theirs, ours, collector = both(HEADS, scores, target)
    assert collector.heads_alone and len(ours) == 3 * len(HEADS)
    assert ours == theirs and 0 < ours["recall@3"] < ours["recall@10"] < 1


@pytest.mark.parametrize("masked", [False, True])
def test_metrics_and_ranks_break_ties_alike(masked):
    """Recall, NDCG and MRR are those of the ranks where scores are equal; RecBole takes any item."""
    generator = torch.Generator().manual_seed(3)
    scores = torch.randint(0, 4, (60, 41), generator=generator).float()  # about ten items per score
    scores[:, 0] = -np.inf
    if masked:
        scores[:, 1:33] = -np.inf  # fewer items than the list is long
    target = torch.randint(33, 41, (60,), generator=generator)
    tie = np.random.default_rng(0).permutation(40)
    config = load_config(SASRec, "x", overrides={"topk": [10], "metrics": ["Recall", "NDCG", "MRR"]})
    collector = RankCollector(config, tie)
    collector.eval_batch_collect(scores, Interaction({"user_id": target}), torch.arange(60), target)
    ranks = collector.take_ranks()
    rank = ranks["rank"].to_numpy()
    inside = rank <= 10
    expected = {"recall@10": inside, "ndcg@10": inside / np.log2(rank + 1), "mrr@10": inside / rank}
    found = Evaluator(config).evaluate(collector.get_data_struct())
    assert found == {name: pytest.approx(value.mean(), abs=1e-4) for name, value in expected.items()}
    assert all((one in top) is bool(hit) for one, top, hit in zip(target.tolist(), ranks["top"], inside, strict=True))
    assert not any(0 in top for top in ranks["top"])  # the pad comes after every item


@pytest.mark.parametrize("name", NAMES)
def test_each_metric_alone_equals_recboles(name):
    generator = torch.Generator().manual_seed(1)
    scores, target = torch.randn(30, 15, generator=generator), torch.randint(1, 15, (30,), generator=generator)
    scores[:, 0] = -np.inf  # as RecBole's trainer sets the pad's score
    theirs, ours, collector = both([name], scores, target)
    assert collector.heads_alone is (name != "GAUC")
    assert ours == theirs and all(0 < value < 31 for value in ours.values())


def test_gauc_beside_metrics_of_heads():
    generator = torch.Generator().manual_seed(0)
    scores, target = torch.randn(30, 15, generator=generator), torch.randint(1, 15, (30,), generator=generator)
    theirs, ours, _ = both([*HEADS, "GAUC"], scores, target)
    assert ours == theirs and len(ours) == 3 * len(HEADS) + 1


@pytest.mark.parametrize("tail_ratio", [0.2, 0.9, 5])
def test_tail_ratio(tail_ratio):
    scores, target = torch.randn(30, 45, generator=torch.Generator().manual_seed(2)), torch.ones(30, dtype=torch.long)
    theirs, ours, _ = both(["TailPercentage"], scores, target, tail_ratio=tail_ratio)
    assert ours == theirs and ours["tailpercentage@10"] > 0


def test_metrics_of_orders_equal_those_of_their_scores():
    """Models that return orders get the metrics of the heads without a matrix of scores."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.stack([torch.randperm(40, generator=generator) for _ in range(20)]).float()
    target = torch.randint(1, 41, (20,), generator=generator)
    positions = scores.argsort(dim=1, descending=True)
    order = Ordered(fixed_orders(positions.tolist()), torch.empty(20, 0, dtype=torch.int64), torch.arange(40))
    padded = torch.cat([torch.full((20, 1), -np.inf), scores], dim=1)
    config = load_config(SASRec, "x", overrides={"topk": [10], "metrics": HEADS})
    values = []
    for given in (order, padded):
        collector = HeadCollector(config, np.arange(40))
        collector.data_collect(training(41))
        collector.eval_batch_collect(given, Interaction({"user_id": target}), torch.arange(20), target)
        values.append(Evaluator(config).evaluate(collector.get_data_struct()))
    assert values[0] == values[1]


def test_a_second_evaluation_starts_empty_and_keeps_the_training_data():
    config = load_config(SASRec, "x", overrides={"topk": [3], "metrics": ["ItemCoverage", "Recall"]})
    collector = HeadCollector(config, np.arange(14))
    collector.data_collect(training(15))
    rows = Interaction({"user_id": torch.arange(4)})
    for items in (torch.arange(15.0), -torch.arange(15.0)):
        collector.eval_batch_collect(items.repeat(4, 1), rows, torch.arange(4), torch.ones(4, dtype=torch.long))
        struct = collector.get_data_struct()
        assert len(struct.get("rec.items")) == 4 and struct.get("data.num_items") == 15
        assert Evaluator(config).evaluate(struct)["itemcoverage@3"] == 0.2  # 3 of 15, the pad included


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
    for collector, is_created in ((HeadCollector(config, np.arange(4999)), False), (Collector(config), True)):
        with TensorSizes() as counted:
            collector.eval_batch_collect(scores, Interaction({"user_id": target}), torch.arange(40), target)
        assert (counted.largest >= scores.numel()) is is_created
