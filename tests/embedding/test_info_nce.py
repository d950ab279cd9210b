import numpy as np
import pytest
import torch

from recbole_llmfashion.embedding.info_nce import info_nce


def test_info_nce() -> None:
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    none = torch.eye(2, dtype=torch.bool)
    # every row: log(e^0 + e^1) - 1
    expected = np.log(1 + np.e) - 1
    assert info_nce(queries, queries, none, torch.tensor(1.0)).item() == pytest.approx(expected)
    titles = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # scale 2: query 1 sees 2, 2; query 2 sees 0, 0; each title sees 2, 0, the second one is paired with the 0
    rows = np.log(2)
    columns = (np.log(1 + np.exp(-2)) + np.log(1 + np.exp(2))) / 2
    assert info_nce(queries, titles, none, torch.tensor(2.0)).item() == pytest.approx((rows + columns) / 2)


def test_positives_of_other_rows_are_not_negatives() -> None:
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    titles = torch.tensor([[0.6, 0.8], [0.8, 0.6], [0.0, 1.0]])
    positive = torch.eye(3, dtype=torch.bool)
    positive[0, 1] = positive[1, 0] = True

    # rows: 0 sees .6 | 0, 1 sees .8 | 0, 2 sees 1 | .8 .6; columns: 0 sees .6 | .8, 1 sees .8 | .6, 2 sees 1 | 0 0
    def nll(own: float, *others: float) -> float:
        return float(np.log(sum(np.exp(x) for x in (own, *others))) - own)

    rows = (nll(0.6, 0) + nll(0.8, 0) + nll(1, 0.8, 0.6)) / 3
    columns = (nll(0.6, 0.8) + nll(0.8, 0.6) + nll(1, 0, 0)) / 3
    assert info_nce(queries, titles, positive, torch.tensor(1.0)).item() == pytest.approx((rows + columns) / 2)
