"""Hard negatives for the title model, from the whole catalogue and within a batch; knows no network.

The nearest wrong text is the one that a triplet can still learn from (Schroff et al. 2015, arXiv 1503.03832); which
combinations are wrong is the pair table's to say.
"""

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.embedding.flat_index import FlatIndex
from recbole_llmfashion.embedding.query_title_pairs import PairTable

# neighbours asked for beyond the wanted negatives, to make up for the positives among them
_MOST_POSITIVES = 64


class NegativeMiner:
    """For every query the closest wrong titles, for every title the closest wrong queries.

    Empty until `refresh`. Afterwards each call draws one of the few kept, which spares the training the one
    near-duplicate that nothing tells apart from the positive.

    Args:
        table: the pairs.
        keep: negatives kept a text, >= 1.
        seed: of the draws.
    """

    def __init__(self, table: PairTable, keep: int, seed: int) -> None:
        self._table = table
        self._keep = keep
        self._random = np.random.default_rng(seed)
        self._titles_of_query: np.ndarray | None = None
        self._queries_of_title: np.ndarray | None = None

    def refresh(self, queries: np.ndarray, titles: np.ndarray) -> None:
        """Search anew.

        Args:
            queries: [queries, d] float32 unit rows, in the table's order.
            titles: [titles, d] float32 unit rows, in the table's order.
        """
        positives = self._table.positives_per_query()
        found = self._search(titles, queries, positives)
        wrong = ~self._table.is_positive(np.arange(len(queries))[:, None], found)
        self._titles_of_query = _first_true(found, wrong, self._keep)
        positives = self._table.positives_per_title()
        paired = np.flatnonzero(positives)
        found = self._search(queries, titles[paired], positives[paired])
        wrong = ~self._table.is_positive(found, paired[:, None])
        self._queries_of_title = np.full((len(titles), self._keep), -1, np.int64)
        self._queries_of_title[paired] = _first_true(found, wrong, self._keep)

    def hard_titles(self, query_ids: np.ndarray) -> np.ndarray:
        """At most one wrong title for each query: [<= b] int64."""
        return self._draw(self._titles_of_query, query_ids)

    def hard_queries(self, title_ids: np.ndarray) -> np.ndarray:
        """At most one wrong query for each title that has a pair: [<= b] int64."""
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
    """[n, keep]: the first `keep` values of each row where the mask holds, -1 behind them."""
    order = np.argsort(~mask, axis=1, kind="stable")[:, :keep]
    chosen = np.where(np.take_along_axis(mask, order, axis=1), np.take_along_axis(values, order, axis=1), -1)
    return np.pad(chosen, ((0, 0), (0, keep - chosen.shape[1])), constant_values=-1)


def hardest(anchors: Tensor, candidates: Tensor, allowed: np.ndarray) -> Tensor:
    """The allowed candidate closest to each anchor.

    Args:
        anchors: [b, d] unit rows.
        candidates: [c, d] unit rows.
        allowed: [b, c] bool; a row without any gets some candidate, which the caller must drop.

    Returns:
        [b, d] float, with the candidates' gradients.
    """
    with torch.no_grad():
        scores = (anchors @ candidates.T).masked_fill(torch.from_numpy(~allowed).to(anchors.device), -torch.inf)
    return candidates[scores.argmax(dim=1)]
