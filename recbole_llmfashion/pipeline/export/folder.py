"""Copies a run with all its parts into one folder, without what identifies single users.

README.md                             the model card; may be edited, it is not signed
manifest.json                         see manifest.py
adapter_config.json, adapter_model.safetensors, tokenizer.json, tokenizer_config.json, config.json, ..
                                      the adapter as peft loads it, the backbone's tokenizer, and its config with
                                      the vocabulary of the adapter
run/                                  the files of the run folder, see save.py
backbone/                             the backbone, unless it is one of the hub
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_llmfashion.embedding.sentence.folder import FOLDER
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import file_sha256, unreadable
from recbole_llmfashion.files.folders import temporary_folder
from recbole_llmfashion.files.temporary import follow_umask, sync_folder
from recbole_llmfashion.files.write_errors import naming
from recbole_llmfashion.pipeline.export.card import CARD, model_card
from recbole_llmfashion.pipeline.export.private import remove_private
from recbole_llmfashion.pipeline.manifest import MANIFEST, OWN, SUFFIXES, Manifest, read_manifest, write_content

ADAPTER = "adapter"
_PLACES = {ADAPTER: "."}  # beside the manifest, where peft looks for it; the others are in folders of their names


def export_run(run: Path, out: Path, min_askers: int = 5) -> None:
    """Copies a run with all its parts into one folder that needs no other, without what identifies single users.

    The copy has no responses of the evaluation, in its memory no query of fewer users than `min_askers`, and in the
    counts of its neighbors' list no pair of items of fewer, and no word pieces of rarer queries. Its lists may
    therefore differ from those of the run.

    Args:
        run: a run folder, exported or not.
        out: a folder that does not exist.
        min_askers: least number of users of a query in the memory and of a pair of items; with 1 all stay.

    Raises:
        UserError: `run` is not a complete run folder, or needs a file outside of it; `out` exists; the disk is full.
    """
    manifest = read_manifest(run)
    if str(manifest.content.get("clip")).startswith("checkpoint:"):
        raise UserError(
            f"{run}: its CLIP weights are a file of this machine ({manifest.content['clip']}); run the main job with "
            "clip_pretrained empty or a tag of open_clip, and export that run"
        )
    encoder = manifest.content.get("encoder", {}).get("source", "")
    if str(encoder).startswith(FOLDER):
        raise UserError(
            f"{run}: its sentence encoder is a folder of this machine ({encoder}); run the main job with "
            "memory_encoder: clip, minilm or a hub name, and export that run"
        )
    _refuse_existing(out)
    with temporary_folder(out, "--out") as partial:
        _copy(manifest, partial, out, min_askers)
        with naming(out, "--out"):
            follow_umask(partial)
            sync_folder(partial)
            try:
                partial.rename(out)
            except OSError:
                _refuse_existing(out)
                raise


def _refuse_existing(out: Path) -> None:
    with naming(out, "--out"):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"--out: {out} exists; choose a new folder, or remove that one first")


def _copy(manifest: Manifest, partial: Path, out: Path, min_askers: int) -> None:
    """Copies every file by part, removes what is private, and reads the copy, which checks each digest."""
    parts = {name: dict(part, path=_place(name)) for name, part in manifest.content["parts"].items()}
    for name, file, _ in manifest.files():
        source = manifest.part(name)
        assert source is not None
        _copy_file(source / file, partial / parts[name]["path"] / file, out)
    for part in parts.values():
        _check_copied(partial / part["path"], part["files"], manifest.folder)
    with naming(out, "--out"):
        memory = remove_private(partial / OWN, min_askers, manifest.content.get("memory"))
        own = {file: partial / OWN / file for file in parts[OWN]["files"]}
        parts[OWN]["files"] = {file: file_sha256(path) for file, path in own.items() if path.is_file()}
        if ADAPTER in parts:
            parts[ADAPTER]["files"] = _peft_layout(manifest, partial)
        content = {**manifest.content, **({"memory": memory} if memory else {}), "parts": parts}
        write_content(partial, content)
        (partial / CARD).write_text(model_card(content), encoding="utf-8")
    read_manifest(partial)


def _place(part: str) -> str:
    """The folder of a part in the copy."""
    return _PLACES.get(part, part)


def _peft_layout(manifest: Manifest, partial: Path) -> dict[str, str]:
    """Completes the adapter's folder, the top of the copy; returns the digests of its files."""
    # imported here: seconds of torch, which the checks of a run need not wait for
    from recbole_llmfashion.llm.modeling.peft_layout import ADAPTER_CONFIG, complete_adapter

    (partial / CARD).unlink(missing_ok=True)  # peft's, in adapters of earlier releases; it has a path of the machine
    if (partial / ADAPTER_CONFIG).is_file():
        items: Mapping[str, Any] = manifest.content["settings"]["items"]
        tokens = items["first"] + items["new_tokens"] if items["kind"] != "text" else None
        complete_adapter(partial, *manifest.backbone, tokens)
    found = sorted(path for path in partial.iterdir() if path.is_file() and path.suffix in SUFFIXES)
    return {path.name: file_sha256(path) for path in found if path.name not in (MANIFEST, CARD)}


def _copy_file(source: Path, target: Path, out: Path) -> None:
    """Copies one file; shutil.copyfile would name the source where the disk of the copy is full."""
    try:
        stream = source.open("rb")
    except OSError as error:
        raise unreadable(source, error) from error
    with stream, naming(out, "--out"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as copy:
            shutil.copyfileobj(stream, copy, 2**20)


def _check_copied(folder: Path, files: Mapping[str, str], run: Path) -> None:
    """Compares the copied files of a part with their digests, before any of them is changed.

    Raises:
        UserError: a file changed while it was copied.
    """
    for file, digest in files.items():
        if file_sha256(folder / file) != digest:
            raise UserError(f"{run}: {file} changed while it was copied; export the run again")
