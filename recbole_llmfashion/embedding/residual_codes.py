"""Residual quantization of vectors into short codes by FAISS; near vectors share their first codes.

    code 1: the nearest of 64 centroids of the vectors
    code 2: the nearest of 64 centroids of the residuals, vector - centroid 1
    code 3: likewise for the residuals that remain

New vectors are encoded with the same centroids.
"""

from pathlib import Path
from typing import Any

import faiss
import numpy as np

LEVELS, BITS = 3, 6  # three codes of 64
LEARNED_FROM = 65_536  # most training vectors, a thousand per centroid
_WORK_BYTES = 2**27  # FAISS's default is 5 GB for its distance tables


class ResidualCodes:
    """A trained quantizer.

    Args:
        index: an IndexResidualQuantizer, because a bare ResidualQuantizer cannot be written to a file.
    """

    def __init__(self, index: Any) -> None:
        index.rq.max_mem_distances = _WORK_BYTES
        self._index = index

    @classmethod
    def train(cls, vectors: np.ndarray) -> "ResidualCodes":
        """Learn the centroids.

        Args:
            vectors: [N, d] float32, N >= 1, in random order, because only the first LEARNED_FROM are used. With fewer
                vectors than centroids some centroids are not used.
        """
        index = faiss.IndexResidualQuantizer(vectors.shape[1], LEVELS, BITS)
        # the progressive training needs more vectors than dimensions
        index.rq.train_type = faiss.ResidualQuantizer.Train_default
        index.rq.cp.min_points_per_centroid = 1  # avoids FAISS's warning for fewer than 2,496 vectors
        sample = np.ascontiguousarray(vectors[:LEARNED_FROM], np.float32)
        codes = cls(index)
        index.train(np.resize(sample, (max(len(sample), 2**BITS), sample.shape[1])))
        return codes

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """[N, d] float32 vectors -> [N, 3] int64 codes from 0 to 63."""
        packed = self._index.sa_encode(np.ascontiguousarray(vectors, np.float32))
        return np.asarray(faiss.unpack_bitstrings(packed, LEVELS, BITS), np.int64)

    def save(self, folder: Path) -> None:
        """Write codes.faiss into a folder."""
        faiss.write_index(self._index, str(folder / "codes.faiss"))

    @classmethod
    def load(cls, folder: Path) -> "ResidualCodes":
        """Load a quantizer written by `save`."""
        return cls(faiss.read_index(str(folder / "codes.faiss")))
