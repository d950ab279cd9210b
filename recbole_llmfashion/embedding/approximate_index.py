"""An approximate index over distinct unit vectors, kept in a folder and memory-mapped when it is read.

    ivf: clusters of vectors in a byte a number, of which the nearest to a query are looked through
    hnsw: a graph that is walked

    <folder>/<name>.faiss   FAISS's own file
             <name>.json    what it was built of: kind, rows, width, digest of the vectors

The third home of FAISS beside index.py and codes.py. Whoever asks scores what is found by the vectors themselves, so a
byte a number costs no exactness there. Knows nothing of what the vectors stand for; was never run on a GPU.
"""

import json
from math import sqrt
from pathlib import Path
from typing import Any, Literal, get_args

import faiss
import numpy as np

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stage_store import sha256_arrays

IndexKind = Literal["flat", "ivf", "hnsw"]
KINDS = get_args(IndexKind)
_FEWEST = 1000  # vectors below which an index saves nothing
_TRAINING = 40  # vectors a cluster that k-means looks at
_LINKS, _BUILT_FROM = 32, 80  # of hnsw: links a vector, candidates when one is put in
CHOSEN = {"clusters": 4.0, "bits": 8, "probed": 0.25, "walked": 256}  # measured in docs/scale.md
_MOST_PROBED = 2048  # by a GPU


class ApproximateIndex:
    """A searchable index.

    Args:
        index: FAISS's, by inner product.
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    def __call__(self, queries: np.ndarray, k: int) -> np.ndarray:
        """[b, min(k, n)] int64 rows near unit queries [b, d] float32, best first as far as it knows; -1 for none."""
        wanted = min(k, self._index.ntotal)
        return np.asarray(self._index.search(np.ascontiguousarray(queries, np.float32), wanted)[1], np.int64)


def build(vectors: np.ndarray, kind: IndexKind, folder: Path, name: str) -> None:
    """Writes an index over unit vectors [n, d] float32, n >= 1, that `load` reads.

    The clusters' centres are drawn with FAISS's fixed seed; hnsw's graph depends on the number of threads.
    """
    n, width = vectors.shape
    index: Any
    if kind == "ivf":
        clusters = max(1, min(int(CHOSEN["clusters"] * sqrt(n)), n // _TRAINING))
        index = faiss.index_factory(width, f"IVF{clusters},SQ{CHOSEN['bits']}", faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1
        index.cp.max_points_per_centroid = _TRAINING
        index.train(vectors)
        index.nprobe = max(min(8, clusters), min(int(CHOSEN["probed"] * clusters), _MOST_PROBED))
    else:
        index = faiss.IndexHNSWFlat(width, _LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = _BUILT_FROM, int(CHOSEN["walked"])
    index.add(vectors)
    faiss.write_index(index, str(folder / f"{name}.faiss"))
    (folder / f"{name}.json").write_text(json.dumps(_about(vectors, kind), indent=1))


def load(vectors: np.ndarray, kind: IndexKind, folder: Path, name: str) -> ApproximateIndex:
    """The index that `build` wrote over the same vectors, memory-mapped; ivf on the GPUs that a FAISS for them finds.

    Raises:
        UserError: a file is gone or broken, or the index was built of other vectors or is of another kind.
    """
    path = folder / f"{name}.faiss"
    again = "remove its folder and run the main job again"
    on_gpus = kind == "ivf" and faiss.get_num_gpus() > 0  # a GPU has no graph
    mapped = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY if kind == "ivf" else faiss.IO_FLAG_MMAP_IFC
    try:
        about = json.loads((folder / f"{name}.json").read_text())
        index = faiss.read_index(str(path), 0 if on_gpus else mapped)
    except (OSError, ValueError, RuntimeError):
        raise UserError(f"{path}: no index that can be read; {again}") from None
    if about != _about(vectors, kind) or (index.ntotal, index.d) != vectors.shape:
        raise UserError(f"{path}: an index of other vectors, or of another kind than {kind}; {again}")
    return ApproximateIndex(faiss.index_cpu_to_all_gpus(index) if on_gpus else index)


def pays_off(vectors: np.ndarray, kind: IndexKind) -> bool:
    """Whether an index would be built: of few vectors every one is looked at, whatever the kind."""
    return kind != "flat" and len(vectors) >= _FEWEST


def _about(vectors: np.ndarray, kind: IndexKind) -> dict[str, Any]:
    return {"kind": kind, "rows": len(vectors), "width": vectors.shape[1], "vectors": sha256_arrays(vectors)}
