"""Exact nearest-neighbour search among unit vectors with deterministic ties, by FAISS."""

import faiss
import numpy as np

# the same inner product differs by about this much between BLAS kernels, which depend on the batch size
_TOLERANCE = 1e-6
_SLACK = 8
_RESCORE_FLOATS = 16_000_000


class FlatIndex:
    """Exhaustive search by inner product, which is the cosine for unit vectors.

    Args:
        vectors: [n, d] float32 unit rows; n may be 0.

    Raises:
        ValueError: `vectors` is not two-dimensional.

    >>> index = FlatIndex(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> scores, ids = index.search(np.array([[1.0, 0.0]]), k=2)
    >>> scores.tolist(), ids.tolist()
    ([[1.0, 1.0]], [[0, 2]])
    """

    def __init__(self, vectors: np.ndarray) -> None:
        if vectors.ndim != 2:
            raise ValueError(f"vectors: expected the shape [n, d], found {vectors.shape}")
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._index = faiss.IndexFlatIP(max(vectors.shape[1], 1))
        if len(vectors):
            self._index.add(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows of each query, best first, equal scores by ascending id.

        Args:
            queries: [b, d] float32.
            k: neighbours per query, >= 0.

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
            rough, candidates = self._index.search(queries[pending], width)
            # if the k-th and the last candidate tie, further equal rows may follow; FAISS returns any of them
            complete = (rough[:, k - 1] - rough[:, -1] > _TOLERANCE) | (width == len(self))
            done = pending[complete]
            scores[done], ids[done] = self._rescore(queries[done], candidates[complete], k)
            pending = pending[~complete]
            width = min(2 * width, len(self))
        return scores, ids

    def _rescore(self, queries: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best candidates, scored pair by pair, so that equal vectors have equal scores in every batch."""
        scores = np.empty((len(candidates), k), np.float32)
        ids = np.empty((len(candidates), k), np.int64)
        step = max(_RESCORE_FLOATS // max(candidates.shape[1] * queries.shape[1], 1), 1)
        for start in range(0, len(candidates), step):
            part = slice(start, start + step)
            exact = np.einsum("bd,bkd->bk", queries[part], self._vectors[candidates[part]])
            order = np.lexsort((candidates[part], -exact))[:, :k]
            scores[part] = np.take_along_axis(exact, order, axis=1)
            ids[part] = np.take_along_axis(candidates[part], order, axis=1)
        return scores, ids
