"""Nearest neighbours among unit vectors, exact and repeatable; the one home of FAISS.

Knows nothing of what the vectors stand for.
"""

import faiss
import numpy as np

# the same inner product differs by about this much between two BLAS kernels, hence between batch sizes
_TOLERANCE = 1e-6
_SLACK = 8
_RESCORE_FLOATS = 16_000_000


class FlatIndex:
    """Exhaustive search by inner product, the cosine of unit rows.

    Args:
        vectors: [n, d] float32, unit rows; n may be 0.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        if vectors.ndim != 2:
            raise ValueError(f"vectors must be [n, d], not {vectors.shape}")
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._index = faiss.IndexFlatIP(max(vectors.shape[1], 1))
        if len(vectors):
            self._index.add(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best rows for each query, best first, equal scores by ascending id.

        Args:
            queries: [b, d] float32.
            k: neighbours wanted, >= 0.

        Returns:
            scores [b, k'] float32 and ids [b, k'] int64, k' = min(k, n).
        """
        k = min(k, len(self))
        scores = np.empty((len(queries), k), np.float32)
        ids = np.empty((len(queries), k), np.int64)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        pending = np.arange(len(queries)) if k else np.zeros(0, np.int64)
        width = min(k + _SLACK, len(self))
        while len(pending):
            rough, found = self._index.search(queries[pending], width)
            # a tie that reaches the last candidate may go on behind it, and FAISS picks among equals as it likes
            settled = (rough[:, k - 1] - rough[:, -1] > _TOLERANCE) | (width == len(self))
            done = pending[settled]
            scores[done], ids[done] = self._rescore(queries[done], found[settled], k)
            pending = pending[~settled]
            width = min(2 * width, len(self))
        return scores, ids

    def _rescore(self, queries: np.ndarray, found: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best candidates, scored pair by pair, so that equal vectors score the same in every batch."""
        scores = np.empty((len(found), k), np.float32)
        ids = np.empty((len(found), k), np.int64)
        step = max(_RESCORE_FLOATS // max(found.shape[1] * queries.shape[1], 1), 1)
        for start in range(0, len(found), step):
            part = slice(start, start + step)
            exact = np.einsum("bd,bkd->bk", queries[part], self._vectors[found[part]])
            order = np.lexsort((found[part], -exact))[:, :k]
            scores[part] = np.take_along_axis(exact, order, axis=1)
            ids[part] = np.take_along_axis(found[part], order, axis=1)
        return scores, ids
