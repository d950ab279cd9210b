import numpy as np
import torch

from recbole_llmfashion.retrieval.lists.popularity_list import popular_order


def test_popular_order():
    tie = torch.tensor([3, 0, 2, 1])
    assert popular_order(np.array([1, 5, 0, 1]), tie).top(4).tolist() == [[1, 3, 0, 2]]
    assert popular_order(np.zeros(4, np.int64), tie).top(2).tolist() == [[1, 3]]
