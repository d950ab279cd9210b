"""Checks of what a run folder holds: types and ranges of its settings, columns of its tables, shapes of its tensors.

A signature says that a file is the one that was written, not that it was written well. Every check is made when a run
is loaded, so that no wrong entry is found by the first customer; each error names the file and the part of it.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.checks import ID_BREAK
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES
from recbole_llmfashion.embedding.approximate_index import KINDS
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import is_model_file, unreadable
from recbole_llmfashion.llm.generation.generator import DecodingSettings
from recbole_llmfashion.llm.modeling.backbone import ComputeDtype, Quantization
from recbole_llmfashion.pipeline.item_pool import attribute_column
from recbole_llmfashion.pipeline.manifest import BACKBONE_FILES, MANIFEST, SUFFIXES, Manifest
from recbole_llmfashion.prompt.builder import PromptSettings
from recbole_llmfashion.prompt.item_tokens import ItemTokensName
from recbole_llmfashion.prompt.template import TEMPLATES
from recbole_llmfashion.retrieval.ranking import FUSED, GROUPS, RankingSettings

REMEDY = "copy the run again, or run the main job again"
_MOST = 2**20  # of every number of tokens, items or prompts
_LEAST = {"history": 1, "max_length": 1, "max_new_tokens": 1, "batch_size": 1, "neighbors": 1, "k": 1}  # else 0
_ITEMS: dict[str, Any] = {"kind": str, "first": int, "new_tokens": int, "key": str, "trained": bool}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Around the reading of a file or folder of a run; any error of its reader becomes a UserError that names it."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # readers of Parquet, safetensors, FAISS, tokenizers and torch have no common base class
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: cannot be read ({type(error).__name__}: {reason}); {REMEDY}") from error


def _wrong(path: Path, what: str) -> NoReturn:
    raise UserError(f"{path}: {what}; {REMEDY}")


def _is(value: Any, kind: Any) -> bool:
    """Whether a JSON value has the type of a dataclass field; numbers are finite."""
    if get_origin(kind) is Literal:
        return any(type(value) is type(word) and value == word for word in get_args(kind))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    return type(value) is kind if isinstance(kind, type) else isinstance(value, Mapping)


class _Entries:
    """The entries of one file, with their place for messages.

    Args:
        path: of the file.
        value: of JSON.
        place: dotted names of the entries above.
    """

    def __init__(self, path: Path, value: Any, place: str = "") -> None:
        self.path, self.place = path, place
        if not isinstance(value, Mapping):
            _wrong(path, f"{place or 'its content'} is not a table of entries")
        self.value: Mapping[str, Any] = value

    def inside(self, name: str) -> "_Entries":
        """The entries of one entry."""
        return _Entries(self.path, self.get(name, object), f"{self.place}{name}.")

    def get(self, name: str, kind: Any) -> Any:
        """One entry of a type; `object` for any."""
        if name not in self.value:
            _wrong(self.path, f"lacks the entry {self.place}{name}")
        value = self.value[name]
        if kind is not object and not _is(value, kind):
            _wrong(self.path, f"{self.place}{name} has the wrong type or is not finite, found {str(value)[:40]!r}")
        if kind is int and not _LEAST.get(name, 0) <= value <= (2**63 - 1 if name == "seed" else _MOST):
            _wrong(self.path, f"{self.place}{name} is out of range, found {value}")
        return value

    def one_of(self, name: str, words: Any) -> Any:
        """One entry that is one of some words."""
        value = self.get(name, object)
        if not any(type(value) is type(word) and value == word for word in words):
            _wrong(self.path, f"{self.place}{name}: expected one of {', '.join(map(str, words))}, found {value!r:.60}")
        return value

    def exactly(self, kinds: Mapping[str, Any], optional: frozenset[str] = frozenset()) -> None:
        """Checks that the entries are those of `kinds`, and their types."""
        unknown = self.value.keys() - kinds.keys()
        if unknown:
            _wrong(self.path, f"{self.place}{min(unknown)} is unknown")
        for name in sorted(kinds.keys() - (optional - self.value.keys())):
            self.get(name, kinds[name])

    def fields_of(self, settings: type, **first: str) -> None:
        """Checks that the entries are the fields of a dataclass, by their first names."""
        self.exactly({first.get(field.name, field.name): field.type for field in fields(settings)})


def check_manifest(manifest: Manifest) -> None:
    """Types, words and ranges of every entry that loading or serving reads.

    Raises:
        UserError: names the entry.
    """
    top = _Entries(manifest.folder / MANIFEST, manifest.content)
    for name, kind in {"model": str, "dataset": str, "clip": str, "seed": int}.items():
        top.get(name, kind)
    for name, value in top.inside("metrics").value.items():
        top.inside("metrics").get(name, float if value is not None else object)
    for name in top.inside("versions").value:
        top.inside("versions").get(name, str)
    top.inside("backbone").exactly({"name": str, "licence": str, "revision": str}, frozenset({"revision"}))
    if "keys" in top.value:
        top.inside("keys")
    if "memory" in top.value:
        top.inside("memory").exactly({"min_askers": int, "queries": int, "left_out": int})
    for name in ("run", "adapter"):
        if name not in top.inside("parts").value:
            _wrong(top.path, f"lacks an entry (the part {name})")
    _check_settings(top.inside("settings"))


def _check_settings(settings: _Entries) -> None:
    tables = ("template", "prompt", "items", "memory", "backbone", "decoding", "beams", "mixing", "mask_history")
    optional = frozenset({"index", "neighbors"})
    settings.exactly(dict.fromkeys((*tables, *optional), object), optional)
    if "neighbors" in settings.value:
        settings.inside("neighbors").exactly({"history": int})
    settings.one_of("template", tuple(TEMPLATES))
    if "index" in settings.value:
        settings.one_of("index", KINDS)
    settings.get("beams", int)
    settings.get("mask_history", bool)
    settings.inside("prompt").fields_of(PromptSettings)
    items = settings.inside("items")
    items.exactly(_ITEMS if items.one_of("kind", get_args(ItemTokensName)) != "text" else {"kind": str})
    settings.inside("memory").exactly({"neighbors": int, "products": int, "depth": int})
    backbone = settings.inside("backbone")
    words = {"quantization": get_args(Quantization), "compute_dtype": get_args(ComputeDtype)}
    backbone.exactly(dict.fromkeys(words, str))
    for name, known in words.items():
        backbone.one_of(name, known)
    _check_decoding(settings.inside("decoding"))
    mixing = settings.inside("mixing")
    mixing.fields_of(RankingSettings)
    _check_weights(mixing.inside("weights"), mixing.value["ranking"] == "fusion")


def _check_decoding(decoding: _Entries) -> None:
    kinds = {field.name: field.type for field in fields(DecodingSettings) if field.name != "response_title"}
    decoding.exactly({**kinds, "title_source": str})
    decoding.one_of("title_source", ("generate", "lookup"))
    temperature, top_p = decoding.value["temperature"], decoding.value["top_p"]
    if temperature <= 0 or not 0 < top_p <= 1:
        _wrong(decoding.path, f"settings.decoding: temperature {temperature} or top_p {top_p} is out of range")


def _check_weights(weights: _Entries, needed: bool) -> None:
    for group in GROUPS if needed or weights.value else ():
        for name in weights.inside(group).value:
            if name not in FUSED or weights.inside(group).get(name, float) < 0:
                _wrong(weights.path, f"settings.mixing.weights.{group}.{name} is unknown or negative")


def read_table(path: Path, texts: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    """A Parquet file with the columns that it must have.

    Raises:
        UserError: it cannot be read, or a column is missing or has cells of another type.
    """
    with reading(path):
        frame = pd.read_parquet(path)
    for name in (*texts, *numbers):
        if name not in frame:
            _wrong(path, f"lacks the column {name}")
    for name in texts:
        if not all(isinstance(cell, str) for cell in frame[name]):
            _wrong(path, f"column {name}: expected texts")
    for name in numbers:
        if not pd.api.types.is_integer_dtype(frame[name]) or (len(frame) and int(frame[name].min()) < 0):
            _wrong(path, f"column {name}: expected integers of 0 or more")
    return frame


def read_catalogue(path: Path, shown: Sequence[str]) -> pd.DataFrame:
    """catalogue.parquet: unique ids that a response can hold, titles, and the attributes that prompts show."""
    attributes = [attribute_column(name) for name in dict.fromkeys((*TEXT_ATTRIBUTES, *shown))]
    frame = read_table(path, ("item_id", "title", *attributes), ("popularity",))
    ids = frame["item_id"]
    if not len(frame) or ids.duplicated().any() or any(not item or ID_BREAK.search(item) for item in ids):
        _wrong(path, "column item_id: expected unique ids without white space or comma")
    if any(not title.strip() for title in frame["title"]):
        _wrong(path, "column title: expected texts that are not empty")
    return frame


def check_vectors(path: Path, vectors: Mapping[str, np.ndarray], items: int, settings: Mapping[str, Any]) -> None:
    """vectors.safetensors: a row per item, finite, and token ids within the new tokens.

    Raises:
        UserError: names the tensor.
    """
    for name in ("title", "core", "clip", "memory"):
        table = vectors.get(name)
        if table is None:
            if name == "title" or (name == "clip" and settings["mixing"]["ranking"] == "clip"):
                _wrong(path, f"lacks the tensor {name}")
            continue
        if table.ndim != 2 or table.dtype != np.float32 or not table.shape[1] or not np.isfinite(table).all():
            _wrong(path, f"tensor {name}: expected finite float32 vectors")
        if name != "memory" and len(table) != items:
            _wrong(path, f"tensor {name}: expected {items} rows, one per item, found {len(table)}")
    if settings["items"]["kind"] != "text":
        _check_tokens(path, vectors.get("tokens"), items, settings["items"])


def _check_tokens(path: Path, tokens: np.ndarray | None, items: int, settings: Mapping[str, Any]) -> None:
    if tokens is None or tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer) or len(tokens) != items:
        _wrong(path, f"tensor tokens: expected token ids of {items} items")
    first, end = settings["first"], settings["first"] + settings["new_tokens"]
    if not tokens.shape[1] or tokens.min() < first or tokens.max() >= end:
        _wrong(path, f"tensor tokens: expected ids from {first} to {end - 1}")
    if len(np.unique(tokens, axis=0)) != items:
        _wrong(path, "tensor tokens: two items have the same tokens")


def read_memory(path: Path, vectors: np.ndarray, items: int) -> pd.DataFrame:
    """memory.parquet: products within the catalogue, and a vector of each distinct query."""
    frame = read_table(path, ("query",), ("item", "position"))
    if len(frame) and int(frame["item"].max()) >= items:
        _wrong(path, f"column item: expected positions below {items}")
    if "askers" in frame and not (pd.api.types.is_integer_dtype(frame["askers"]) and (frame["askers"] >= 1).all()):
        _wrong(path, "column askers: expected integers of 1 or more")
    keys = len({normalize_text(query) for query in frame["query"]})
    if keys != len(vectors):
        _wrong(path, f"column query: expected {len(vectors)} distinct queries, one per vector, found {keys}")
    return frame


def check_responses(path: Path, items: int) -> None:
    """responses.parquet: texts by digest of a prompt, with positions of items."""
    frame = read_table(path, ("prompt", "response"), ())
    if "items" not in frame:
        _wrong(path, "lacks the column items")
    with reading(path):
        for cell in frame["items"]:
            row = np.asarray(cell)
            whole = row.ndim == 1 and (not len(row) or np.issubdtype(row.dtype, np.integer))
            if not whole or (len(row) and (row.min() < 0 or row.max() >= items or len(set(row.tolist())) != len(row))):
                _wrong(path, f"column items: expected lists of distinct positions below {items}")


def check_adapter(folder: Path) -> None:
    """The adapter's two files: the settings of LoRA, and finite weights of that rank.

    Raises:
        UserError: names the file and the entry or tensor.
    """
    from safetensors.torch import load_file

    path = folder / "adapter_config.json"
    with reading(path):
        content = json.loads(path.read_bytes())
    config = _Entries(path, content)
    rank, alpha, dropout = config.get("r", int), config.get("lora_alpha", float), config.get("lora_dropout", float)
    if not 1 <= rank <= 4096 or alpha <= 0 or not 0 <= dropout < 1:
        _wrong(path, f"r {rank}, lora_alpha {alpha} or lora_dropout {dropout} is out of range")
    modules = config.get("target_modules", object)
    if not isinstance(modules, str) and not (modules and _is(modules, tuple[str, ...])):
        _wrong(path, "target_modules: expected names of layers")
    path = folder / "adapter_model.safetensors"
    with reading(path):
        weights = load_file(str(path))
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            _wrong(path, f"tensor {name}: expected finite numbers")
        if name.endswith("lora_A.weight") and len(tensor) != rank:
            _wrong(path, f"tensor {name}: expected {rank} rows, found {len(tensor)}")


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
        trained = _Entries(path, json.loads(path.read_bytes()))
    folder = manifest.part("backbone")
    if folder is None:
        _wrong(manifest.folder / MANIFEST, "lacks an entry (the part backbone)")
    signed = manifest.content["parts"]["backbone"]["files"]
    for name in sorted({*trained.value, *filter(is_model_file, signed)}):
        if Path(name).suffix in SUFFIXES and trained.value.get(name) != signed.get(name):
            _wrong(folder / name, "is not the file that the adapter was trained with")


def check_finite(path: Path, network: Any) -> None:
    """Raises UserError where a weight of a network is not finite."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            _wrong(path, f"weight {name}: expected finite numbers")


def check_width(path: Path, encoded: np.ndarray, table: np.ndarray | None) -> None:
    """Raises UserError where an encoder's vectors are not finite, or not as wide as a table of its vectors."""
    if not np.isfinite(encoded).all():
        _wrong(path, "its vectors are not finite")
    if table is not None and encoded.shape[1] != table.shape[1]:
        _wrong(path, f"its vectors have {encoded.shape[1]} numbers, those of vectors.safetensors {table.shape[1]}")
