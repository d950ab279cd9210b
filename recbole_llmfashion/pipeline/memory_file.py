"""memory.parquet of a run folder: the products of the memory's queries, without their users.

    query (normalized), item (position), position, askers (users who searched for the query)

Rows are sorted by query, item and position. Neither the order of the searches nor their times are kept, so rows of one
user look like those of others. A query that one user alone searched for may still identify that user:
`without_rare` leaves out queries of fewer users than `min_askers`, for exports and for services.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.embedding.piece_files import PIECES, keep_pieces
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.retrieval.lists.common_users import CommonUsers

MEMORY, VECTORS, RESPONSES = "memory.parquet", "vectors.safetensors", "responses.parquet"
CATALOGUE = "catalogue.parquet"
NEIGHBORS, ENCODER = "neighbors.safetensors", "encoder.safetensors"
COLUMNS = ["query", "item", "position"]


def memory_frame(
    queries: Sequence[str], query: np.ndarray, item: np.ndarray, position: np.ndarray, askers: np.ndarray
) -> pd.DataFrame:
    """The content of memory.parquet.

    Args:
        queries: query texts by query index.
        query, item, position: rows of the memory's log.
        askers: [n] users who searched for the row's query.
    """
    texts = np.asarray([normalize_text(text) for text in queries], object)
    frame = pd.DataFrame({"query": texts[query], "item": item, "position": position, "askers": askers})
    return frame.sort_values(COLUMNS, ignore_index=True)


def note_of_one(frame: pd.DataFrame) -> str:
    """One line on the queries of a memory that one user alone typed; empty where there are none.

    Args:
        frame: as `memory_frame` returns it.
    """
    askers = frame.drop_duplicates("query")["askers"]
    alone = int((askers == 1).sum())
    note = (
        f"the run folder holds {len(askers):,} queries, {alone:,} of which one user alone typed (min_askers: 1); an "
        "export, the demo and the service leave those out unless they are told otherwise (docs/privacy.md)"
    )
    return note if alone else ""


def without_rare(
    frame: pd.DataFrame, vectors: np.ndarray, min_askers: int, where: Path
) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Leaves out the queries of fewer than `min_askers` users.

    Args:
        frame: of memory.parquet.
        vectors: [K, d] of its distinct queries, sorted.
        where: the run folder, for the message.

    Returns:
        frame and vectors of the other queries, and how many queries were left out.

    Raises:
        UserError: the file was written by a release that did not count the users of a query.
    """
    if min_askers <= 1:
        return frame, vectors, 0
    if "askers" not in frame:
        raise UserError(
            f"{where}: its {MEMORY} does not say how many users searched for a query; run the main job again, or pass "
            "min_askers=1 to keep queries of one user alone"
        )
    askers = dict(zip(frame["query"], frame["askers"], strict=True))
    kept = np.asarray([askers[query] >= min_askers for query in sorted(askers)], bool)
    return frame[frame["askers"] >= min_askers].reset_index(drop=True), vectors[kept], int((~kept).sum())


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
