"""manifest.json: the parts of a run folder, their paths, and the digest of every file.

    {format, sha256 of everything else, .. entries of the writer .., parts: {name: {path, files: {name: sha256}}}}

A part is a folder: the run folder itself, a stage, or a backbone. export/ copies all parts into one folder. Files
are JSON, Parquet, safetensors, FAISS and text; other files of a folder are left out.

The manifest holds no path of the machine. The path of a part is relative where it is in the folder of all datasets'
stages, starts with `package:` where it is in this package, and is empty elsewhere; then local.json has it. That file is
beside the manifest, and is neither signed nor exported.
"""

import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import FileDigests, file_sha256, model_files, unreadable
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.stage_store import STAGE, damage, read_stage, sha256

OWN = "run"  # the part that is the run folder itself

FORMAT = 2  # raise it when the meaning of a file changes; a reader refuses newer formats
MANIFEST = "manifest.json"
SUFFIXES = (".json", ".safetensors", ".parquet", ".faiss", ".model", ".jinja", ".txt", ".md")
_REMEDY = "copy the exported run again, or run the main job again"
_UNREADABLE = f"not readable; {_REMEDY}"
BACKBONE_FILES = "backbone.json"  # of an adapter: {file: sha256} of the local backbone that it was trained on
LOCAL = (
    "local.json"  # {data_path, clip_pretrained, memory_encoder, parts: {name: path}}, absolute paths of this machine
)
_NOT_SIGNED = (MANIFEST, LOCAL, STAGE, "timing.json")
_PART = re.compile("[a-z]+")
_PACKAGE = Path(__file__).parents[1]
_IN_PACKAGE = "package:"


class Manifest:
    """A run folder's manifest.

    Args:
        folder: the run folder.
        content: of manifest.json.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder, self.content = folder, content

    @cached_property
    def local(self) -> Mapping[str, Any]:
        """What local.json says; empty in an exported run.

        Raises:
            UserError: it cannot be read.
        """
        return read_local(self.folder)

    @property
    def digest(self) -> str:
        """Identity of the run: a digest over everything but the places of its parts."""
        return run_digest(self.content)

    def part(self, name: str) -> Path | None:
        """The folder of a part; None where the run has no such part.

        Raises:
            UserError: local.json does not say where it is.
        """
        found = self.content["parts"].get(name)
        if found is None:
            return None
        path = str(found["path"])
        if path.startswith(_IN_PACKAGE):
            return _PACKAGE / path.removeprefix(_IN_PACKAGE)
        if not path:
            path = str(self.local.get("parts", {}).get(name, ""))
            if not path:
                raise UserError(f"{self.folder / LOCAL}: does not say where the {name} is; run the main job again")
        return self.folder / path

    @property
    def backbone(self) -> tuple[str, str | None]:
        """Where the backbone is, a folder or a name of the hub, and the commit of a hub's model.

        Raises:
            UserError: local.json does not say where it is.
        """
        named = self.content["backbone"]
        return str(self.part("backbone") or named["name"]), named.get("revision")

    def lists(self, name: str, file: str) -> bool:
        """Whether a part has a file of that name, which is signed."""
        return file in self.content["parts"].get(name, {"files": ()})["files"]

    def file(self, name: str, file: str) -> Path:
        """The path of a signed file.

        Raises:
            UserError: the manifest does not list it.
        """
        part = self.part(name)
        if part is None or not self.lists(name, file):
            raise UserError(f"{self.folder / MANIFEST}: does not list {name}/{file}; {_REMEDY}")
        return part / file

    def check_no_other_model_files(self, name: str) -> None:
        """Checks that a backbone's folder has no file beside the signed ones that loading it might read.

        Raises:
            UserError: names the file.
        """
        part = self.part(name)
        for path in model_files(part) if part is not None else ():
            if path.suffix in SUFFIXES and not self.lists(name, path.name):
                raise UserError(f"{path}: is not a file of the run {self.folder}; remove it")

    def files(self) -> list[tuple[str, Path, str]]:
        """(part, file within it, sha256) of every file.

        Raises:
            UserError: the manifest lists no files, or names a file outside its part.
        """
        try:
            found = [
                (name, Path(file), digest)
                for name, part in self.content["parts"].items()
                for file, digest in part["files"].items()
            ]
            paths = [part["path"] for part in self.content["parts"].values()]
        except (KeyError, TypeError, AttributeError):
            raise UserError(f"{self.folder / MANIFEST}: {_UNREADABLE}") from None
        texts = [*paths, *(digest for _, _, digest in found), *map(str, (file for _, file, _ in found))]
        if not all(isinstance(text, str) and "\0" not in text for text in texts):
            raise UserError(f"{self.folder / MANIFEST}: {_UNREADABLE}")
        for name in self.content["parts"]:
            if not _PART.fullmatch(name):
                raise UserError(f"{self.folder / MANIFEST}: '{name[:40]}' is no name of a part; do not use this run")
        for name, file, _ in found:
            whole = Path(name) / file
            if whole.is_absolute() or ".." in whole.parts:
                raise UserError(f"{self.folder / MANIFEST}: names {whole}, outside its part; do not use this run")
        return found


def write_manifest(folder: Path, entries: Mapping[str, Any], parts: Mapping[str, Path], final: Path) -> None:
    """Writes manifest.json into a folder.

    Args:
        entries: of the writer, JSON-like.
        parts: folders by name; for `folder` itself, the files of its subfolders are included.
        final: the folder's final path; the parts' paths are relative to it.

    Raises:
        UserError: a part is a stage whose files are not those that it was finished with.
    """
    described, digests = {}, FileDigests()
    for name, part in parts.items():
        _refuse_damaged(part, digests)
        own = part == folder
        found = sorted(path for path in (part.rglob("*") if own else part.iterdir()) if path.is_file())
        files = {path.relative_to(part).as_posix(): path for path in found if path.name not in _NOT_SIGNED}
        described[name] = {
            "path": "." if own else _portable_path(part, final),
            "files": {name: digests.sha256(path) for name, path in files.items() if path.suffix in SUFFIXES},
        }
    write_content(folder, {"format": FORMAT, **entries, "parts": described})


def _refuse_damaged(part: Path, digests: FileDigests) -> None:
    if not (part / STAGE).is_file():
        return
    try:
        reason = damage(part, read_stage(part), digests)
    except ValueError as error:
        reason = str(error)
    if reason:
        raise UserError(f"{part}: {reason}; remove this folder and run the same command again")


def _portable_path(part: Path, final: Path) -> str:
    """The path of a part as the manifest holds it."""
    part, shared = Path(os.path.realpath(part)), Path(os.path.realpath(final)).parents[2]
    if part.is_relative_to(_PACKAGE):
        return _IN_PACKAGE + part.relative_to(_PACKAGE).as_posix()
    return Path(os.path.relpath(part, os.path.realpath(final))).as_posix() if part.is_relative_to(shared) else ""


def run_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over a manifest's content without the paths of its parts."""
    files = {name: part["files"] for name, part in content["parts"].items()}
    return sha256({key: value for key, value in content.items() if key != "sha256"} | {"parts": files})


def read_digest(folder: Path) -> str:
    """The `Manifest.digest` of a manifest.json that was just written."""
    return run_digest(parse_json((folder / MANIFEST).read_text(encoding="utf-8")))


def read_local(folder: Path) -> dict[str, Any]:
    """What local.json of a run folder says; empty where there is none.

    Raises:
        UserError: it cannot be read, or is not of that form.
    """
    path = folder / LOCAL
    if not path.is_file():
        return {}
    try:
        found = parse_json(path.read_bytes())
        own = ("data_path", "clip_pretrained", "memory_encoder")
        texts = [*(found[key] for key in own if key in found), *found["parts"].values()]
        if all(isinstance(text, str) and "\0" not in text for text in texts):
            return dict(found)
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UserError(f"{path}: is damaged; run the main job again")


def write_content(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes manifest.json with the digest of its content."""
    digest = sha256({key: value for key, value in content.items() if key != "sha256"})
    text = json.dumps({**content, "sha256": digest}, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Reads manifest.json and checks every file that it names.

    Raises:
        UserError: not a run folder, another format, or a file is missing or was changed.
    """
    manifest = Manifest(folder, read_content(folder))
    for name, file, digest in manifest.files():
        part = manifest.part(name)
        assert part is not None
        if not _is_file(part / file):
            raise UserError(f"{folder}: {part / file} is missing; run the main job or copy the exported run again")
        if file_sha256(part / file) != digest:
            raise UserError(
                f"{folder}: {part / file} was changed (its sha256 differs); copy the exported run again, "
                "or delete the file's folder if it is a stage and run the main job again"
            )
    return manifest


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise unreadable(path, error) from error


def read_content(folder: Path) -> dict[str, Any]:
    """Reads manifest.json and checks its own digest, but no other file.

    Raises:
        UserError: not a run folder, another format, or it was changed.
    """
    path = folder / MANIFEST
    if _is_file(folder / "fit.json"):
        raise UserError(
            f"{folder}: a trained RecBole model, which cannot be served; name the run folder of LLMFashionRec, "
            "`run` in results.json"
        )
    if not _is_file(path):
        raise UserError(f"{folder}: not a run folder, it has no {MANIFEST}; results.json names it as `run`")
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        written = content["format"]
        if type(written) is not int:
            raise ValueError("format is not an integer")
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: {_UNREADABLE}") from None
    if written != FORMAT:
        raise UserError(
            f"{path}: format {written}, and this release of recbole_llmfashion reads format {FORMAT}; "
            + ("upgrade recbole_llmfashion" if written > FORMAT else "run the main job again")
        )
    if content.get("sha256") != sha256({key: value for key, value in content.items() if key != "sha256"}):
        raise UserError(f"{path}: was changed after it was written; copy the exported run again")
    return content
