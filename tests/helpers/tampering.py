"""Run folders that something is wrong with, drawn from a seed: damaged files, and folders that are validly signed."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.files.digests import file_sha256
from recbole_llmfashion.stage_store import sha256

WRONG: list[Any] = [None, "x", -1, [], {}, [[[]]], {"x": {"x": 1}}, 2**70, float("nan"), True]
JSON_FILES = ["run/title/settings.json", "run/clip/clip.json", "adapter_config.json"]
TOKENIZERS = ["run/title/pieces.json", "run/clip/pieces.json", "backbone/tokenizer.json"]
BACKBONE_KEYS = ["hidden_size", "num_attention_heads", "vocab_size", "model_type", "layer_norm_epsilon"]
TABLES = ["run/catalogue.parquet", "run/memory.parquet"]
TENSORS = [
    "run/vectors.safetensors",
    "run/neighbors.safetensors",
    "run/title/weights.safetensors",
    "run/clip/weights.safetensors",
    "adapter_model.safetensors",
    "backbone/model.safetensors",
]


def sign(folder: Path, content: dict[str, Any] | None = None) -> None:
    """Writes digests of what is there into manifest.json, as somebody does who edits a run and signs it."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text()) if content is None else content
    parts = content.get("parts")
    for name, part in parts.items() if isinstance(parts, dict) else ():
        if not isinstance(part, dict) or not isinstance(part.get("files"), dict):
            continue
        files = part["files"]
        there = {file: folder / ("." if name == "adapter" else name) / file for file in files}
        part["files"] = {file: file_sha256(one) if one.is_file() else files[file] for file, one in there.items()}
    content["sha256"] = sha256({key: value for key, value in content.items() if key != "sha256"})
    path.write_text(json.dumps(content))


def leaves(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all entries of a JSON value."""
    pairs = value.items() if isinstance(value, dict) else ()
    return [found for key, inner in pairs for found in ((*way, key), *leaves(inner, (*way, key)))]


def change_entry(content: Any, way: tuple[Any, ...], draw: random.Random) -> str:
    """Gives one entry a wrong value, removes it, or adds one beside it."""
    for key in way[:-1]:
        content = content[key]
    kind = draw.choice(["value", "value", "value", "remove", "add", "nest"])
    if kind == "value":
        content[way[-1]] = draw.choice(WRONG)
    elif kind == "remove":
        del content[way[-1]]
    elif kind == "add":
        content["not_an_entry"] = 1
    else:
        content[way[-1]] = {"nested": content[way[-1]]}
    return f"{kind} {'.'.join(map(str, way))}"


def damaged(folder: Path, draw: random.Random) -> str:
    """Damages a file and leaves the manifest as it is."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path, other = draw.sample(files, 2)
    content = bytearray(path.read_bytes())
    kind = draw.choice(["flip", "cut", "replace", "remove", "swap", "folder", "empty", "longer"])
    if kind == "flip":
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
    elif kind == "cut":
        path.write_bytes(content[: draw.randrange(len(content))])
    elif kind == "replace":
        path.write_bytes(draw.randbytes(len(content)))
    elif kind == "swap":
        path.write_bytes(other.read_bytes()), other.write_bytes(content)
    elif kind in ("empty", "longer"):
        path.write_bytes(b"" if kind == "empty" else bytes(content) + b"\0")
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
    return f"{kind} {path.relative_to(folder)}"


def wrong_manifest(folder: Path, draw: random.Random) -> str:
    """A manifest with a wrong entry, signed."""
    content = json.loads((folder / "manifest.json").read_text())
    ways = [way for way in leaves(content) if way[0] not in ("sha256", "keys", "versions", "parts")]
    ways += [("parts",), ("parts", "run"), ("parts", "adapter", "path"), ("parts", "adapter", "files")]
    done = change_entry(content, draw.choice(ways), draw)
    sign(folder, content)
    return f"manifest: {done}"


def wrong_json(folder: Path, draw: random.Random) -> str:
    """A JSON file of a part with a wrong entry, signed."""
    file = draw.choice(JSON_FILES)
    content = json.loads((folder / file).read_text())
    used = [way for way in leaves(content) if "adapter" not in file or way[0] in ("r", "lora_alpha", "target_modules")]
    way = draw.choice(used)
    done = change_entry(content, way, draw)
    (folder / file).write_text(json.dumps(content))
    sign(folder)
    return f"{file}: {done}"


def wrong_tokenizer(folder: Path, draw: random.Random) -> str:
    """A tokenizer that is not one, or a backbone's config with a wrong type, signed."""
    if draw.random() < 0.5:
        content = json.loads((folder / "backbone/config.json").read_text())
        key = draw.choice([key for key in BACKBONE_KEYS if key in content])
        content[key] = draw.choice(["x", [], {}, [[1]]])
        (folder / "backbone/config.json").write_text(json.dumps(content))
        file = f"backbone/config.json {key}"
    else:
        file = draw.choice(TOKENIZERS)
        (folder / file).write_text(draw.choice(["", "{", "[]", "{}", '{"model": {}}', '{"model": {"type": "BPE"}}']))
    sign(folder)
    return f"tokenizer: {file}"


def wrong_table(folder: Path, draw: random.Random) -> str:
    """A Parquet file with a column that is missing or of another type, or with cells out of range, signed."""
    file = draw.choice(TABLES)
    frame = pd.read_parquet(folder / file)
    name = draw.choice(list(frame.columns))
    kind = draw.choice(["drop", "other type", "none", "negative", "too large", "twice", "no rows", "garbage"])
    text = not pd.api.types.is_numeric_dtype(frame[name])
    if kind == "drop":
        frame = frame.drop(columns=name)
    elif kind == "other type":
        frame[name] = range(len(frame)) if text else frame[name].astype(str)
    elif kind == "none":
        frame[name] = [None, *frame[name][1:]]
    elif kind in ("negative", "too large"):
        frame[name] = [b"\xff"] * len(frame) if text else frame[name] - 99 if kind == "negative" else frame[name] + 0.5
    elif kind == "twice":
        frame = pd.concat([frame, frame.assign(**({"query": "another query"} if "query" in frame else {}))])
    elif kind == "no rows":
        frame = frame.head(0)
    frame.to_parquet(folder / file, index=False)
    if kind == "garbage":
        (folder / file).write_bytes(draw.randbytes(500))
    sign(folder)
    return f"{file}: {kind} {name}"


def wrong_tensors(folder: Path, draw: random.Random) -> str:
    """A safetensors file with a tensor that is missing, not finite, or of another shape, signed."""
    file = draw.choice([name for name in TENSORS if (folder / name).is_file()])
    tensors = load_file(str(folder / file))
    name = draw.choice(sorted(tensors))
    kind = draw.choice(["missing", "nan", "rows", "columns", "flat", "garbage"])
    value = tensors[name]
    if kind == "missing":
        del tensors[name]
    elif kind == "nan":
        spoiled = value.astype(np.float32)
        spoiled.reshape(-1)[draw.randrange(value.size)] = np.nan
        tensors[name] = spoiled
    elif kind == "rows":
        tensors[name] = np.ascontiguousarray(value[:-1])
    elif kind == "columns":
        tensors[name] = np.ascontiguousarray(value[..., :-1])
    elif kind == "flat":
        tensors[name] = value.reshape(-1, 1, 1)
    save_file(tensors, str(folder / file), metadata={"format": "pt"})
    if kind == "garbage":
        (folder / file).write_bytes(draw.randbytes(500))
    sign(folder)
    return f"{file}: {kind} {name}"


def wrong_files(folder: Path, draw: random.Random) -> str:
    """A file that no part lists any more, or one more in the backbone's folder, signed."""
    content = json.loads((folder / "manifest.json").read_text())
    if draw.random() < 0.2:
        shutil.copy(folder / "adapter_config.json", folder / "backbone")
        return "one more file in the backbone"
    needed = [name for name in content["parts"]["run"]["files"] if name != "responses.parquet"]
    part, file = draw.choice([*(("run", name) for name in needed), ("adapter", "adapter_config.json")])
    del content["parts"][part]["files"][file]
    if draw.random() < 0.5:
        (folder / content["parts"][part]["path"] / file).unlink()
    sign(folder, content)
    return f"not listed: {part}/{file}"


SIGNED: list[Callable[[Path, random.Random], str]] = [
    wrong_manifest, wrong_manifest, wrong_manifest, wrong_json, wrong_tokenizer, wrong_table, wrong_tensors,
    wrong_tensors, wrong_files,
]  # fmt: skip
