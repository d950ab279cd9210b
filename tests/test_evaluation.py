import numpy as np
import pandas as pd
import torch
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config import load_config
from recbole_llmfashion.evaluation import RankCollector, full_rank_mrr


def test_ranks_by_hand_with_ties_and_the_pad_column():
    collector = RankCollector(load_config(SASRec, "x", overrides={"topk": [2]}), np.array([2, 0, 1]))
    scores = torch.tensor([[-np.inf, 0.5, 0.9, 0.1], [-np.inf, 0.3, 0.3, 0.3], [-np.inf, 0.3, 0.3, 0.3]])
    target = torch.tensor([1, 1, 3])
    rows = Interaction({"user_id": torch.tensor([7, 8, 9])})
    collector.eval_batch_collect(scores, rows, torch.arange(3), target)
    ranks = collector.take_ranks()
    # equal scores: items 1, 2, 3 stand in the order of their hash ranks 2, 0, 1
    assert ranks[["user", "target", "rank"]].to_numpy().tolist() == [[7, 1, 2], [8, 1, 3], [9, 3, 2]]
    assert ranks["top"][0].tolist() == [2, 1]
    assert len(collector.take_ranks()) == 0


def test_full_rank_mrr():
    assert full_rank_mrr(pd.DataFrame({"rank": [1, 2, 20]})) == (1 + 0.5 + 0.05) / 3
