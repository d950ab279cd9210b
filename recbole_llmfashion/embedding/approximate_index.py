"""Approximate nearest-neighbour indexes of FAISS, saved in a folder and memory-mapped when loaded.

    ivf: clusters of vectors with one byte per number; a query searches the nearest clusters
    hnsw: a graph of vectors (Malkov and Yashunin, arXiv 1603.09320)

    <folder>/<name>.faiss   FAISS's file
             <name>.json    kind, rows, width and digest of the vectors

The caller scores the results with the original vectors, so the one-byte numbers do not make scores inexact. The GPU
code was never run on a GPU.
"""

import json
from math import sqrt
from pathlib import Path
from typing import Any, Literal, get_args

import faiss
import numpy as np

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.stage_store import sha256_arrays

IndexKind = Literal["flat", "ivf", "hnsw"]
KINDS = get_args(IndexKind)
_FEWEST = 1000  # with fewer vectors an index saves no time
_TRAINING = 40  # vectors per cluster for k-means
_LINKS, _BUILT_FROM = 32, 80  # hnsw: links per vector, candidates at insertion (efConstruction)
# clusters: per square root of the vectors; probed: share of clusters searched; walked: efSearch (docs/scale.md)
CHOSEN = {"clusters": 4.0, "bits": 8, "probed": 0.25, "walked": 256}
_MOST_PROBED = 2048  # limit of FAISS on a GPU


class ApproximateIndex:
    """A loaded index.

    Args:
        index: FAISS index with inner-product metric.
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    def __call__(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Approximate nearest rows.

        Args:
            queries: [b, d] float32 unit rows.
            k: neighbours per query.

        Returns:
            [b, min(k, n)] int64, approximately best first, -1 if fewer are found.
        """
        count = min(k, self._index.ntotal)
        return np.asarray(self._index.search(np.ascontiguousarray(queries, np.float32), count)[1], np.int64)


def build(vectors: np.ndarray, kind: IndexKind, folder: Path, name: str) -> None:
    """Build an index and write its two files.

    The clusters are deterministic; the graph of hnsw depends on the number of threads.

    Args:
        vectors: [n, d] float32 unit rows, n >= 1.
        kind: ivf or hnsw.
        folder: existing folder.
        name: of the files, without suffix.
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
    """Load an index written by `build`, memory-mapped; ivf is copied to all GPUs if FAISS was built for GPUs.

    Args:
        vectors, kind, folder, name: as in `build`.

    Raises:
        UserError: a file is missing or damaged, or the index has other vectors or another kind.
    """
    path = folder / f"{name}.faiss"
    remedy = "remove its folder and run the main job again"
    on_gpus = kind == "ivf" and faiss.get_num_gpus() > 0  # FAISS has no hnsw on GPUs
    mapped = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY if kind == "ivf" else faiss.IO_FLAG_MMAP_IFC
    try:
        about = parse_json((folder / f"{name}.json").read_text())
        index = faiss.read_index(str(path), 0 if on_gpus else mapped)
    except (OSError, ValueError, RuntimeError):
        raise UserError(f"{path}: not a readable index; {remedy}") from None
    if about != _about(vectors, kind) or (index.ntotal, index.d) != vectors.shape:
        raise UserError(f"{path}: expected a {kind} index of the current vectors, found another index; {remedy}")
    return ApproximateIndex(faiss.index_cpu_to_all_gpus(index) if on_gpus else index)


def pays_off(vectors: np.ndarray, kind: IndexKind) -> bool:
    """Whether an approximate index is worth building; with few vectors an exhaustive search is as fast."""
    return kind != "flat" and len(vectors) >= _FEWEST


def _about(vectors: np.ndarray, kind: IndexKind) -> dict[str, Any]:
    return {"kind": kind, "rows": len(vectors), "width": vectors.shape[1], "vectors": sha256_arrays(vectors)}
