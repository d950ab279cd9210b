"""Items' vectors as short codes: residual quantization, so that items that lie close share their first codes.

    code 1 = the nearest of 64 centres; code 2 = the nearest of 64 centres of what is left; and so on

An item that comes later gets its code from the same centres. Knows vectors, not what they stand for. The second home of
FAISS beside index.py.
"""

from pathlib import Path
from typing import Any

import faiss
import numpy as np

LEVELS, BITS = 3, 6  # three codes of 64
LEARNED_FROM = 65_536  # vectors, a thousand for a centre
_WORK_BYTES = 2**27  # FAISS would take 5 GB for its tables of distances


class ResidualCodes:
    """A trained quantizer.

    Args:
        index: an IndexResidualQuantizer; a bare quantizer cannot be written to a file.
    """

    def __init__(self, index: Any) -> None:
        index.rq.max_mem_distances = _WORK_BYTES
        self._index = index

    @classmethod
    def train(cls, vectors: np.ndarray) -> "ResidualCodes":
        """Finds the centres; fewer vectors than centres leave some of them unused.

        Args:
            vectors: [N, d] float32, N >= 1, in an order that means nothing: of very many the first are looked at.
        """
        index = faiss.IndexResidualQuantizer(vectors.shape[1], LEVELS, BITS)
        # the progressive training wants more items than dimensions
        index.rq.train_type = faiss.ResidualQuantizer.Train_default
        index.rq.cp.min_points_per_centroid = 1  # FAISS would write a warning for a catalogue below 2,496 items
        few = np.ascontiguousarray(vectors[:LEARNED_FROM], np.float32)
        codes = cls(index)
        index.train(np.resize(few, (max(len(few), 2**BITS), few.shape[1])))
        return codes

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """[N, 3] int64 codes below 64."""
        packed = self._index.sa_encode(np.ascontiguousarray(vectors, np.float32))
        return np.asarray(faiss.unpack_bitstrings(packed, LEVELS, BITS), np.int64)

    def save(self, folder: Path) -> None:
        """Writes codes.faiss."""
        faiss.write_index(self._index, str(folder / "codes.faiss"))

    @classmethod
    def load(cls, folder: Path) -> "ResidualCodes":
        """Reads what `save` wrote."""
        return cls(faiss.read_index(str(folder / "codes.faiss")))
