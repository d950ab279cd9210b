"""What the files of a run folder hold of customers: counts, and texts that are searched word for word."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from recbole_llmfashion.data.atomic.canaries import Canary
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.pipeline.manifest import MANIFEST, OWN, Manifest
from recbole_llmfashion.pipeline.memory_file import MEMORY, NEIGHBORS, RESPONSES
from recbole_llmfashion.retrieval.lists.common_users import CommonUsers

SHARED = "backbone"  # the part that no dataset has an influence on
NOT_OF_CUSTOMERS = "catalogue.parquet"  # every title, by design
READABLE = (".json", ".txt", ".md", ".jinja")


@dataclass(frozen=True)
class Counts:
    """Numbers of what may tell single customers; None where the run has no such file.

    Args:
        queries: of the memory.
        of_one: queries of the memory that one customer alone typed.
        fewest: customers of the memory's rarest query.
        responses: digests of prompts, with which a guess of a history can be confirmed.
        pairs_of_one: pairs of items that one customer alone took.
        items_of_one: items that one training action alone is of.
    """

    queries: int | None
    of_one: int | None
    fewest: int | None
    responses: int | None
    pairs_of_one: int | None
    items_of_one: int


def count(manifest: Manifest) -> Counts:
    """Counts in the files of a run, which its manifest lists."""
    askers = np.zeros(0, np.int64)
    if manifest.lists(OWN, MEMORY):
        frame = pd.read_parquet(manifest.file(OWN, MEMORY))
        askers = frame.drop_duplicates("query").get("askers", pd.Series(dtype=np.int64)).to_numpy()
    responses = pairs = None
    if manifest.lists(OWN, RESPONSES):
        responses = len(pd.read_parquet(manifest.file(OWN, RESPONSES), columns=["prompt"]))
    if manifest.lists(OWN, NEIGHBORS):
        found = CommonUsers.from_arrays(load_file(str(manifest.file(OWN, NEIGHBORS))))
        pairs = int((found.pairs.data == 1).sum())
    popularity = pd.read_parquet(manifest.file(OWN, NOT_OF_CUSTOMERS), columns=["popularity"])["popularity"]
    known = len(askers) > 0
    return Counts(
        queries=len(askers) if known else None,
        of_one=int((askers == 1).sum()) if known else None,
        fewest=int(askers.min()) if known else None,
        responses=responses,
        pairs_of_one=pairs,
        items_of_one=int((popularity == 1).sum()),
    )


def memory_queries(manifest: Manifest) -> dict[str, int]:
    """The normalized queries of a run's memory, with the number of customers of each; empty without a memory."""
    if not manifest.lists(OWN, MEMORY):
        return {}
    frame = pd.read_parquet(manifest.file(OWN, MEMORY)).drop_duplicates("query")
    askers = frame["askers"] if "askers" in frame else pd.Series(1, frame.index)
    return dict(zip(frame["query"], askers.astype(int), strict=True))


def texts_of(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(part/file, its text in lower case) of every file of the run that holds text, the backbone's and titles apart."""
    yield MANIFEST, json.dumps(manifest.content, ensure_ascii=False).lower()
    for name, file, _ in manifest.files():
        part = manifest.part(name)
        if part is None or name == SHARED or file.name == NOT_OF_CUSTOMERS:
            continue
        if file.suffix == ".parquet":
            yield f"{name}/{file}", "\n".join(_cells(part / file)).lower()
        elif file.suffix in READABLE:
            yield f"{name}/{file}", (part / file).read_text(encoding="utf-8", errors="replace").lower()


def _cells(path: Path) -> Iterator[str]:
    frame = pd.read_parquet(path)
    for column in frame.columns:
        yield from (cell for cell in frame[column] if isinstance(cell, str))


@dataclass(frozen=True)
class Held:
    """In which files the texts of canaries stand.

    Args:
        count: customers of the canaries.
        queries: canaries whose query is in a file as a whole.
        words: canaries of whose query a word is in a file.
        files: where.
    """

    count: int
    queries: int
    words: int
    files: Sequence[str]


def held(manifest: Manifest, canaries: Sequence[Canary]) -> list[Held]:
    """For each count of canaries, how many queries and words of queries the files of the run hold."""
    texts = dict(texts_of(manifest))
    found = []
    for number in sorted({one.count for one in canaries}):
        queries = [normalize_text(one.query) for one in canaries if one.count == number]
        places = {
            file for file, text in texts.items() for query in queries if any(word in text for word in query.split())
        }
        whole = [any(query in text for text in texts.values()) for query in queries]
        parts = [any(word in text for text in texts.values() for word in query.split()) for query in queries]
        found.append(Held(number, sum(whole), sum(parts), sorted(places)))
    return found


def files_with(manifest: Manifest, names: Sequence[str]) -> dict[str, int]:
    """The files of a run that hold some of these texts, such as ids of customers, as words of their own; how many."""
    wanted = {name.lower() for name in names}
    separators = str.maketrans(dict.fromkeys('",:;[]{}()\n\t', " "))
    found = {file: len(wanted.intersection(text.translate(separators).split())) for file, text in texts_of(manifest)}
    return {file: number for file, number in found.items() if number}
