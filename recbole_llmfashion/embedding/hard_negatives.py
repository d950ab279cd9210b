"""Hard negatives for the title model, from the whole catalogue and from the batch.

A hard negative is the nearest text that is not a positive (Schroff et al. 2015, arXiv 1503.03832).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.embedding.flat_index import FlatIndex
from recbole_llmfashion.embedding.query_title_pairs import PairTable

_MOST_POSITIVES = 64  # of anchors that are searched together


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
        table = self._table
        self._titles_of_query = self._nearest_wrong(titles, queries, table.positives_per_query(), table.is_positive)
        positives = table.positives_per_title()
        paired = np.flatnonzero(positives)
        self._queries_of_title = np.full((len(titles), self._keep), -1, np.int64)
        self._queries_of_title[paired] = self._nearest_wrong(
            queries, titles[paired], positives[paired], lambda chosen, near: table.is_positive(near, paired[chosen])
        )

    def hard_titles(self, query_ids: np.ndarray) -> np.ndarray:
        """Distinct wrong titles, at most one per query: [<= b] int64."""
        return self._draw(self._titles_of_query, query_ids)

    def hard_queries(self, title_ids: np.ndarray) -> np.ndarray:
        """Distinct wrong queries, at most one per title that has a pair: [<= b] int64."""
        return self._draw(self._queries_of_title, title_ids)

    def _nearest_wrong(
        self,
        among: np.ndarray,
        anchors: np.ndarray,
        positives: np.ndarray,
        is_positive: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """[n, keep] nearest rows of `among` that are no positives, -1 where there are fewer.

        Args:
            positives: [n] number of each anchor's positives.
            is_positive: of rows of `anchors` [m, 1] and of `among` [m, k].
        """
        index, found = FlatIndex(among), np.full((len(anchors), self._keep), -1, np.int64)
        many = positives > _MOST_POSITIVES
        # an anchor with many positives is searched alone, as deep as it needs
        for rows in (np.flatnonzero(~many), *np.flatnonzero(many)[:, None]):
            if len(rows):
                near = index.search(anchors[rows], self._keep + int(positives[rows].max()))[1]
                found[rows] = _first_true(near, ~is_positive(rows[:, None], near), self._keep)
        return found

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
