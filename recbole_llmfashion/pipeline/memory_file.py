"""memory.parquet of a run folder: the products of the memory's queries, without their users.

    query (normalized), item (position), position, askers (users who searched for the query)

Rows are sorted by query, item and position. Neither the order of the searches nor their times are kept, so rows of one
user look like those of others. A query that one user alone searched for may still identify that user:
`without_rare` leaves out queries of fewer users than `min_askers`, for exports and for services.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.errors import UserError

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
