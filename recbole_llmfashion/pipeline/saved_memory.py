"""The query-product memory of a run folder, as it was in the run that wrote it, and its sentence encoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_llmfashion.embedding.clip_text import ClipText
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.embedding.sentence.encoder import SentenceEncoder, load_encoder
from recbole_llmfashion.embedding.sentence.folder import FOLDER, HUB
from recbole_llmfashion.embedding.sentence.vectors import KnownVectors
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.checks.entries import REMEDY
from recbole_llmfashion.pipeline.checks.files import check_width, read_memory
from recbole_llmfashion.pipeline.manifest import LOCAL, MANIFEST, OWN, Manifest
from recbole_llmfashion.pipeline.memory_file import MEMORY, without_rare
from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory, make_memory

Encoder = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class SavedMemory:
    """The content of the query-product memory.

    Args:
        log: rows of the training log; `query` is an index into `queries`.
        queries: distinct texts.
        askers: users who searched for each query; 1 where the run was saved without this number.
        vectors: [K, d] of the memory's own keys, in their order.
        neighbors, products: as in `prompt.memory`; a prompt may show fewer products.
    """

    log: MemoryLog
    queries: tuple[str, ...]
    askers: tuple[int, ...]
    vectors: np.ndarray
    neighbors: int
    products: int

    def of(self, encode: Encoder, tie: np.ndarray, live: np.ndarray) -> QueryProductMemory | None:
        """The memory of some items; None where no product is left.

        Args:
            encode: the run's text encoder.
            tie: [N] fixed order of the items.
            live: bool [N], the items that the memory may return.
        """
        # the run's own keys get the stored vectors, so that both sides agree to the last bit
        keys = KnownVectors(encode, sorted({normalize_text(query) for query in self.queries}), self.vectors)
        return make_memory(self.log, self.queries, keys, self.neighbors, self.products, tie, live=live)


def load_memory(
    manifest: Manifest,
    vectors: Mapping[str, np.ndarray],
    settings: Mapping[str, int],
    min_askers: int,
    encoder: ClipText | SentenceEncoder | None,
) -> SavedMemory | None:
    """Reads the memory of a run; None where it has none, or no query of `min_askers` users.

    Args:
        vectors: of vectors.safetensors.
        settings: the entry `memory` of the manifest's settings.
        encoder: of the memory's keys.

    Raises:
        UserError: the file cannot be used.
    """
    if "memory" not in vectors:
        return None
    path = manifest.file(OWN, MEMORY)
    if encoder is None:
        raise UserError(f"{manifest.folder / MANIFEST}: clip is empty, and {path} needs a text tower; {REMEDY}")
    check_width(path, encoder.encode(["boots"]), vectors["memory"])
    frame = read_memory(path, vectors["memory"], len(vectors["title"]))
    frame, kept, _ = without_rare(frame, vectors["memory"], min_askers, path.parent)
    if not len(frame):
        return None
    query, queries = pd.factorize(frame["query"])
    known = dict(zip(frame["query"], frame["askers"], strict=True)) if "askers" in frame else {}
    askers = tuple(int(known.get(text, 1)) for text in queries)
    search = np.zeros(len(frame), np.int64)  # only training prompts need to know which search it was
    log = MemoryLog(search, query, frame["item"].to_numpy(np.int64), frame["position"].to_numpy(np.int64))
    products = max(settings["products"], settings["depth"])
    return SavedMemory(log, tuple(queries), askers, kept, settings["neighbors"], products)


def load_sentences(manifest: Manifest) -> SentenceEncoder | None:
    """The sentence encoder of a run, found again by its name or its folder; None where the run has none.

    Raises:
        UserError: it is not there, or has other files than the run's.
    """
    about = manifest.content.get("encoder")
    if about is None:
        return None
    source = str(about["source"])
    name = manifest.local.get("memory_encoder", "") if source.startswith(FOLDER) else source.removeprefix(HUB)
    if not name:
        raise UserError(f"{manifest.folder / LOCAL}: does not say where the sentence encoder {source} is; {REMEDY}")
    encoder = load_encoder(name, "memory_encoder")
    if encoder.sha256 != about["sha256"]:
        raise UserError(f"{manifest.folder}: the sentence encoder {name} has other files than the run's; restore them")
    return encoder
