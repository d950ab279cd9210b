"""Hard negatives for the title model, from the whole catalogue and from the batch.

A hard negative is the nearest text that is not a positive (Schroff et al. 2015, arXiv 1503.03832).
"""

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.embedding.flat_index import FlatIndex
from recbole_llmfashion.embedding.query_title_pairs import PairTable

# additional neighbours that are searched, because some of them are positives
_MOST_POSITIVES = 64


class NegativeMiner:
    """Mines the nearest wrong titles of every query and the nearest wrong queries of every title.

    There are no negatives before the first `refresh`. Each call draws one of the `keep` nearest, because the very
    nearest may be a near-duplicate of the positive.

    Args:
        table: the pairs.
        keep: negatives per text, >= 1.
        seed: random seed for the draws.
    """

    def __init__(self, table: PairTable, keep: int, seed: int) -> None:
        self._table = table
        self._keep = keep
        self._random = np.random.default_rng(seed)
        self._titles_of_query: np.ndarray | None = None
        self._queries_of_title: np.ndarray | None = None

    def refresh(self, queries: np.ndarray, titles: np.ndarray) -> None:
        """Search the negatives with the current vectors.

        Args:
            queries: [queries, d] float32 unit rows, in the table's order.
            titles: [titles, d] float32 unit rows, in the table's order.
        """
        positives = self._table.positives_per_query()
        neighbours = self._search(titles, queries, positives)
        wrong = ~self._table.is_positive(np.arange(len(queries))[:, None], neighbours)
        self._titles_of_query = _first_true(neighbours, wrong, self._keep)
        positives = self._table.positives_per_title()
        paired = np.flatnonzero(positives)
        neighbours = self._search(queries, titles[paired], positives[paired])
        wrong = ~self._table.is_positive(neighbours, paired[:, None])
        self._queries_of_title = np.full((len(titles), self._keep), -1, np.int64)
        self._queries_of_title[paired] = _first_true(neighbours, wrong, self._keep)

    def hard_titles(self, query_ids: np.ndarray) -> np.ndarray:
        """Distinct wrong titles, at most one per query: [<= b] int64."""
        return self._draw(self._titles_of_query, query_ids)

    def hard_queries(self, title_ids: np.ndarray) -> np.ndarray:
        """Distinct wrong queries, at most one per title that has a pair: [<= b] int64."""
        return self._draw(self._queries_of_title, title_ids)

    def _search(self, among: np.ndarray, anchors: np.ndarray, positives: np.ndarray) -> np.ndarray:
        k = self._keep + min(int(positives.max(initial=0)), _MOST_POSITIVES)
        return FlatIndex(among).search(anchors, k)[1]

    def _draw(self, negatives: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
        if negatives is None:
            return np.zeros(0, np.int64)
        drawn = negatives[rows, self._random.integers(self._keep, size=len(rows))]
        return np.unique(drawn[drawn >= 0])


def _first_true(values: np.ndarray, mask: np.ndarray, keep: int) -> np.ndarray:
    """[n, keep] first `keep` values of each row where the mask is True, padded with -1."""
    order = np.argsort(~mask, axis=1, kind="stable")[:, :keep]
    chosen = np.where(np.take_along_axis(mask, order, axis=1), np.take_along_axis(values, order, axis=1), -1)
    return np.pad(chosen, ((0, 0), (0, keep - chosen.shape[1])), constant_values=-1)


def hardest(anchors: Tensor, candidates: Tensor, allowed: np.ndarray) -> Tensor:
    """The allowed candidate nearest to each anchor.

    Args:
        anchors: [b, d] unit rows.
        candidates: [c, d] unit rows.
        allowed: [b, c] bool; the result of a row without True is arbitrary.

    Returns:
        [b, d] float, with the candidates' gradients.

    >>> candidates = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> hardest(candidates[:1], candidates, np.array([[False, True, True]])).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    with torch.no_grad():
        scores = (anchors @ candidates.T).masked_fill(torch.from_numpy(~allowed).to(anchors.device), -torch.inf)
    return candidates[scores.argmax(dim=1)]
