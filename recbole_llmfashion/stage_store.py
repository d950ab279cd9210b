"""The stage store: one folder per finished artefact.

    <root>/<stage>-<hash of its inputs>/stage.json   inputs, seconds, SHA-256 of each file
                                        ...          the files that the stage wrote

A stage is built in a temporary folder, flushed to the disk, and renamed when it is complete. A killed run therefore
leaves no incomplete stage, and the same command continues after the last finished one. The checkpoints of a long stage
are kept in <root>/.running until it is complete. Processes that need the same stage build it once: the first one holds
the operating system's lock on <root>/.locks/<stage>-<hash>.lock, which is released when it ends, and the others wait.

A stage is used only if its files have the digests that stage.json names; otherwise it is built again. Each process
reads the files once (files/digests.py; <root>/.digests.json remembers those of large files).
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import FileDigests, unreadable
from recbole_llmfashion.files.folders import publish_folder, temporary_folder
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.files.temporary import follow_umask
from recbole_llmfashion.files.write_errors import disk_full, full_disk_error, naming

STAGE = "stage.json"
DIGESTS = ".digests.json"
FORMAT = 1  # raise it when the files of a stage change their meaning, so that old folders are not used again


def canonical_json(value: Any) -> str:
    """JSON text that is equal for equal values: sorted keys, no white space.

    Raises:
        TypeError: the value is not JSON-like.

    >>> canonical_json({"b": [1, 2], "a": None})
    '{"a":null,"b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256(value: Any) -> str:
    """Hex digest of a JSON-like value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def with_first_names(fields: Mapping[str, Any], **first: str) -> dict[str, Any]:
    """Fields under the names of the first release, so that a renamed field does not change the hash of a stage.

    Args:
        fields: values by current name.
        first: current name = first name.

    >>> with_first_names({"num_beams": 4, "seed": 1}, num_beams="beams")
    {'beams': 4, 'seed': 1}
    """
    return {first.get(name, name): value for name, value in fields.items()}


def without_later(fields: Mapping[str, Any], **first: Any) -> dict[str, Any]:
    """Fields without those of a later release that have the value with which earlier stages were built.

    Args:
        fields: values by name.
        first: later field = that value.

    >>> without_later({"seed": 1, "mined": 4, "start": 1}, mined=4, start=0)
    {'seed': 1, 'start': 1}
    """
    return {name: value for name, value in fields.items() if name not in first or value != first[name]}


def sha256_arrays(*arrays: np.ndarray) -> str:
    """Hex digest over dtype, shape and bytes of each array, in order."""
    return sha256_stream(arrays)


def sha256_stream(arrays: Iterable[np.ndarray]) -> str:
    """Like `sha256_arrays`, for arrays that do not fit in memory together."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def sha256_texts(texts: Any) -> str:
    """Hex digest over an iterable of strings and their lengths, so that ["ab"] and ["a", "b"] differ."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def stage_seed(seed: int, stage: str) -> int:
    """The random seed of a stage, hash(seed, stage name): a resumed run equals an uninterrupted one."""
    return int(sha256([seed, stage])[:8], 16)


@dataclass
class StageStore:
    """Builds each stage once and finds it again.

    Args:
        root: the folder that holds the stages.
        on_stage: called with (stage name, seconds, reused) after each `get`, for the result's `seconds`.
    """

    root: Path
    on_stage: Callable[[str, float, bool], None] = field(default=lambda name, seconds, reused: None)

    def path(self, name: str, inputs: Mapping[str, Any]) -> Path:
        """The folder of the stage with these inputs, whether it exists or not."""
        return self.root / f"{name}-{sha256([FORMAT, name, dict(inputs)])[:16]}"

    def running(self, name: str, inputs: Mapping[str, Any]) -> Path:
        """The folder for checkpoints of a long stage; removed when the stage is complete."""
        return self.root / ".running" / self.path(name, inputs).name

    @cached_property
    def digests(self) -> FileDigests:
        """Digests of files, remembered in this store."""
        return FileDigests(self.root / DIGESTS)

    def has(self, name: str, inputs: Mapping[str, Any]) -> bool:
        """Whether the stage is complete and whole, so that `get` would not build it."""
        return isinstance(self._look(name, inputs), float)

    def get(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """Returns the folder of a stage; calls `build(folder)` first if the stage does not exist or is damaged.

        Args:
            name: name of the stage, the first part of the folder's name.
            inputs: everything that the outcome depends on, as JSON-like values.
            build: writes the files of the stage into an empty folder; if it raises, no stage is left behind.

        Raises:
            UserError: a file of the stage cannot be read, or a damaged stage cannot be removed.
        """
        final = self.path(name, inputs)
        with suppress(UserError):  # another process may be removing a damaged stage; the lock waits for it
            found = self._look(name, inputs)
            if isinstance(found, float):
                self.on_stage(name, found, True)
                return final
        with self._lock(final):
            found = self._look(name, inputs)
            if isinstance(found, float):
                self.on_stage(name, found, True)
                return final
            if found:
                _remove_damaged(final, found)
            self._build(name, inputs, build, final)
        return final

    def _look(self, name: str, inputs: Mapping[str, Any]) -> float | str:
        """The seconds that a stage took; where it cannot be used, the reason, "" if there is none."""
        final = self.path(name, inputs)
        if not (final / STAGE).is_file():
            return ""
        try:
            about = read_stage(final)
        except ValueError as error:
            return str(error)
        if about.get("stage", name) != name or not _same(about.get("inputs", inputs), inputs):
            return f"{STAGE} is that of another stage"
        return damage(final, about, self.digests) or float(about["seconds"])

    @contextmanager
    def _lock(self, final: Path) -> Iterator[None]:
        """Held while the stage is built. The file is kept: processes that wait for a removed file hold another lock."""
        folder = self.root / ".locks"
        with naming(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{final.name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _wait(lock, final.name)
        try:
            yield
        finally:
            lock.release()

    def _build(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], None], final: Path) -> None:
        start = time.perf_counter()
        try:
            with temporary_folder(final) as part:
                build(part)
                seconds = time.perf_counter() - start
                follow_umask(part)  # before the digests: they are remembered by the times of the files
                about = {"stage": name, "format": FORMAT, "seconds": seconds, "inputs": dict(inputs)}
                text = json.dumps(about | {"files": self._digests_of(part)}, indent=1)
                (part / STAGE).write_text(text)
                publish_folder(part, final, STAGE)
        except Exception as error:
            if not isinstance(error, UserError) and disk_full(error):
                raise full_disk_error(self.root, error) from error
            raise
        shutil.rmtree(self.running(name, inputs), ignore_errors=True)
        self.on_stage(name, seconds, False)

    def _digests_of(self, folder: Path) -> dict[str, str]:
        """SHA-256 by path of every file in a new folder."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): self.digests.sha256(path) for path in files}


def _wait(lock: FileLock, stage: str) -> None:
    """Waits for the process that builds a stage, and shows on a terminal for how long."""
    getLogger(__name__).info(f"stage {stage}: another process is building it, waiting")
    with tqdm(desc=f"waiting for {stage}", bar_format="{desc}: {elapsed}", disable=None, leave=False) as elapsed:
        while True:
            with suppress(Timeout):
                lock.acquire(timeout=1)
                return
            elapsed.refresh()


def _remove_damaged(final: Path, reason: str) -> None:
    getLogger(__name__).warning(f"stage {final}: {reason}; it is made again")
    try:
        (final / STAGE).unlink()  # first: what is left of a killed removal is no stage
        shutil.rmtree(final)
    except OSError as error:
        raise UserError(f"{final}: {reason}, and it cannot be removed ({error.strerror}); remove it") from error


def _same(one: Any, other: Mapping[str, Any]) -> bool:
    """Whether inputs are equal once both have been JSON, which has no tuples and only texts as keys."""
    return bool(json.loads(canonical_json(one)) == json.loads(canonical_json(dict(other))))


def read_stage(folder: Path) -> dict[str, Any]:
    """stage.json of a stage; `files` is missing where an earlier version wrote it.

    Raises:
        UserError: it cannot be read.
        ValueError: it is damaged; the message says how.
    """
    try:
        about = parse_json((folder / STAGE).read_bytes())
        files: Mapping[str, str] = about.get("files", {})
        inside = all(isinstance(digest, str) and ".." not in Path(name).parts for name, digest in files.items())
        whole = inside and float(about["seconds"]) >= 0
    except OSError as error:
        raise unreadable(folder / STAGE, error) from error
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise ValueError(f"{STAGE} is damaged")
    found: dict[str, Any] = about
    return found


def damage(folder: Path, about: Mapping[str, Any], digests: FileDigests) -> str:
    """What is wrong with the files of a stage by its stage.json; empty where nothing is, or where it has no digests.

    Raises:
        UserError: a file cannot be read.
    """
    for name, digest in about.get("files", {}).items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if digests.sha256(folder / name) != digest:
            return f"{name} was changed (its sha256 differs)"
    return ""
