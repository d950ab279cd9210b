"""Checks of the files of a run folder: columns of tables, shapes of tensors, the adapter and its backbone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.checks import ID_BREAK
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.files.digests import is_model_file
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.pipeline.checks.entries import Entries, has_type, reading, refuse
from recbole_llmfashion.pipeline.item_pool import attribute_column
from recbole_llmfashion.pipeline.manifest import BACKBONE_FILES, MANIFEST, SUFFIXES, Manifest


def read_table(path: Path, texts: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    """A Parquet file with the columns that it must have.

    Raises:
        UserError: it cannot be read, or a column is missing or has cells of another type.
    """
    with reading(path):
        frame = pd.read_parquet(path)
    for name in (*texts, *numbers):
        if name not in frame:
            refuse(path, f"lacks the column {name}")
    for name in texts:
        if not all(isinstance(cell, str) for cell in frame[name]):
            refuse(path, f"column {name}: expected texts")
    for name in numbers:
        if not pd.api.types.is_integer_dtype(frame[name]) or (len(frame) and int(frame[name].min()) < 0):
            refuse(path, f"column {name}: expected integers of 0 or more")
    return frame


def read_catalogue(path: Path, shown: Sequence[str]) -> pd.DataFrame:
    """catalogue.parquet: unique ids that a response can hold, titles, and the attributes that prompts show."""
    attributes = [attribute_column(name) for name in dict.fromkeys((*TEXT_ATTRIBUTES, *shown))]
    frame = read_table(path, ("item_id", "title", *attributes), ("popularity",))
    ids = frame["item_id"]
    if not len(frame) or ids.duplicated().any() or any(not item or ID_BREAK.search(item) for item in ids):
        refuse(path, "column item_id: expected unique ids without white space or comma")
    if any(not title.strip() for title in frame["title"]):
        refuse(path, "column title: expected texts that are not empty")
    return frame


def check_vectors(path: Path, vectors: Mapping[str, np.ndarray], items: int, settings: Mapping[str, Any]) -> None:
    """vectors.safetensors: a row per item, finite, and token ids within the new tokens.

    Raises:
        UserError: names the tensor.
    """
    for name in ("title", "core", "clip", "sentences", "image", "memory"):
        table = vectors.get(name)
        if table is None:
            if name == "title" or (name == "clip" and settings["mixing"]["ranking"] == "clip"):
                refuse(path, f"lacks the tensor {name}")
            continue
        if table.ndim != 2 or table.dtype != np.float32 or not table.shape[1] or not np.isfinite(table).all():
            refuse(path, f"tensor {name}: expected finite float32 vectors")
        if name != "memory" and len(table) != items:
            refuse(path, f"tensor {name}: expected {items} rows, one per item, found {len(table)}")
    if settings["items"]["kind"] != "text":
        _check_tokens(path, vectors.get("tokens"), items, settings["items"])


def _check_tokens(path: Path, tokens: np.ndarray | None, items: int, settings: Mapping[str, Any]) -> None:
    if tokens is None or tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer) or len(tokens) != items:
        refuse(path, f"tensor tokens: expected token ids of {items} items")
    first, end = settings["first"], settings["first"] + settings["new_tokens"]
    if not tokens.shape[1] or tokens.min() < first or tokens.max() >= end:
        refuse(path, f"tensor tokens: expected ids from {first} to {end - 1}")
    if len(np.unique(tokens, axis=0)) != items:
        refuse(path, "tensor tokens: two items have the same tokens")


def read_memory(path: Path, vectors: np.ndarray, items: int) -> pd.DataFrame:
    """memory.parquet: products within the catalogue, and a vector of each distinct query."""
    frame = read_table(path, ("query",), ("item", "position"))
    if len(frame) and int(frame["item"].max()) >= items:
        refuse(path, f"column item: expected positions below {items}")
    if "askers" in frame and not (pd.api.types.is_integer_dtype(frame["askers"]) and (frame["askers"] >= 1).all()):
        refuse(path, "column askers: expected integers of 1 or more")
    keys = len({normalize_text(query) for query in frame["query"]})
    if keys != len(vectors):
        refuse(path, f"column query: expected {len(vectors)} distinct queries, one per vector, found {keys}")
    return frame


def check_responses(path: Path, items: int) -> None:
    """responses.parquet: texts by digest of a prompt, with positions of items."""
    frame = read_table(path, ("prompt", "response"), ())
    if "items" not in frame:
        refuse(path, "lacks the column items")
    with reading(path):
        for cell in frame["items"]:
            row = np.asarray(cell)
            whole = row.ndim == 1 and (not len(row) or np.issubdtype(row.dtype, np.integer))
            if not whole or (len(row) and (row.min() < 0 or row.max() >= items or len(set(row.tolist())) != len(row))):
                refuse(path, f"column items: expected lists of distinct positions below {items}")


def check_adapter(folder: Path) -> None:
    """The adapter's two files: the settings of LoRA, and finite weights of that rank.

    Raises:
        UserError: names the file and the entry or tensor.
    """
    from safetensors.torch import load_file

    path = folder / "adapter_config.json"
    with reading(path):
        content = parse_json(path.read_bytes())
    config = Entries(path, content)
    rank, alpha, dropout = config.get("r", int), config.get("lora_alpha", float), config.get("lora_dropout", float)
    if not 1 <= rank <= 4096 or alpha <= 0 or not 0 <= dropout < 1:
        refuse(path, f"r {rank}, lora_alpha {alpha} or lora_dropout {dropout} is out of range")
    modules = config.get("target_modules", object)
    if not isinstance(modules, str) and not (modules and has_type(modules, tuple[str, ...])):
        refuse(path, "target_modules: expected names of layers")
    path = folder / "adapter_model.safetensors"
    with reading(path):
        weights = load_file(str(path))
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            refuse(path, f"tensor {name}: expected finite numbers")
        if name.endswith("lora_A.weight") and len(tensor) != rank:
            refuse(path, f"tensor {name}: expected {rank} rows, found {len(tensor)}")


def check_backbone(manifest: Manifest) -> None:
    """Every file of the backbone is the one that the adapter was trained on.

    The adapters of a hub's backbone and of earlier releases list no files.

    Raises:
        UserError: names the file.
    """
    if not manifest.lists("adapter", BACKBONE_FILES):
        return
    path = manifest.file("adapter", BACKBONE_FILES)
    with reading(path):
        trained = Entries(path, parse_json(path.read_bytes()))
    folder = manifest.part("backbone")
    if folder is None:
        refuse(manifest.folder / MANIFEST, "lacks an entry (the part backbone)")
    signed = manifest.content["parts"]["backbone"]["files"]
    for name in sorted({*trained.value, *filter(is_model_file, signed)}):
        if Path(name).suffix in SUFFIXES and trained.value.get(name) != signed.get(name):
            refuse(folder / name, "is not the file that the adapter was trained with")


def check_finite(path: Path, network: Any) -> None:
    """Raises UserError where a weight of a network is not finite."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            refuse(path, f"weight {name}: expected finite numbers")


def check_width(path: Path, encoded: np.ndarray, table: np.ndarray | None) -> None:
    """Raises UserError where an encoder's vectors are not finite, or not as wide as a table of its vectors."""
    if not np.isfinite(encoded).all():
        refuse(path, "its vectors are not finite")
    if table is not None and encoded.shape[1] != table.shape[1]:
        refuse(path, f"its vectors have {encoded.shape[1]} numbers, those of vectors.safetensors {table.shape[1]}")
