"""Removes from the files of a copied run what identifies single users."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.pipeline.export.word_pieces import PIECES, keep_pieces
from recbole_llmfashion.pipeline.memory_file import CATALOGUE, MEMORY, NEIGHBORS, RESPONSES, VECTORS, without_rare
from recbole_llmfashion.retrieval.lists.common_users import CommonUsers


def remove_private(folder: Path, min_askers: int, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Removes from the files of a copied run what identifies single users.

    The responses of the evaluation are found by the digest of a prompt, and a prompt is the history of one user: with
    the digests, a guess of a history can be confirmed. They are generated again when they are needed. The items of a
    pair that one user alone took are a part of that user's history. A word of a query of one user may be one piece of
    the text models: pieces stay that are part of the catalogue's texts or of a query that stays.

    Args:
        folder: the part of the run that holds its own files; it is changed.
        min_askers: least number of users of a query that stays, and of a pair of items.
        before: the entry `memory` of the manifest of the run.

    Returns:
        the entry `memory` of the copy; None for a run without a memory.
    """
    (folder / RESPONSES).unlink(missing_ok=True)
    if (folder / NEIGHBORS).is_file():
        counts = CommonUsers.from_arrays(load_file(str(folder / NEIGHBORS)))
        save_file(counts.at_least(min_askers).arrays(), str(folder / NEIGHBORS))
    entry = _remove_rare(folder, min_askers, before)
    pieces = sorted(folder.glob(f"*/{PIECES}"))
    if min_askers > 1 and pieces:
        texts = _texts(folder)
        for path in pieces:
            keep_pieces(path, texts)
    return entry


def _texts(folder: Path) -> list[str]:
    """Titles, attributes and the memory's queries of a run folder."""
    catalogue = pd.read_parquet(folder / CATALOGUE).drop(columns=["item_id", "popularity"])
    texts = set(catalogue.to_numpy(str).flatten().tolist())
    if (folder / MEMORY).is_file():
        texts |= set(pd.read_parquet(folder / MEMORY, columns=["query"])["query"])
    return sorted(texts)


def _remove_rare(folder: Path, min_askers: int, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Removes rare queries from the memory; returns its entry of the manifest."""
    if not (folder / MEMORY).is_file():
        return None if before is None else dict(before)
    before = before or {}
    tensors = load_file(str(folder / VECTORS))
    frame, vectors, left_out = without_rare(
        pd.read_parquet(folder / MEMORY), tensors["memory"], min_askers, folder.parent
    )
    if len(frame):
        tensors["memory"] = np.ascontiguousarray(vectors)
        frame.to_parquet(folder / MEMORY, index=False)
    else:
        del tensors["memory"]
        (folder / MEMORY).unlink()
    save_file(tensors, str(folder / VECTORS))
    return {
        "min_askers": max(min_askers, before.get("min_askers", 1)),
        "queries": len(vectors),
        "left_out": left_out + before.get("left_out", 0),
    }
