"""The stage store: one folder for each finished artefact, named after the hash of what went into it.

    <root>/<stage>-<hash of its inputs>/stage.json   inputs, seconds
                                        ...          what the stage wrote

A stage is built in a folder beside its own and renamed when it is whole, so a killed run leaves no half stage and the
same command goes on from the last finished one; what a long stage saves of itself for that lies in <root>/.running
until it is whole. Processes that want the same stage build it once: the first holds the operating system's lock on
<root>/.locks/<stage>-<hash>.lock, which dies with its holder, and the others wait. The store knows nothing of what a
stage holds.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

FORMAT = 1  # raise it when a stage's files change their meaning, so that old folders are not taken for new ones


def canonical_json(value: Any) -> str:
    """One text for equal values: sorted keys, no white space; raises TypeError on what JSON does not hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256(value: Any) -> str:
    """Hex digest of a JSON-like value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def with_first_names(fields: Mapping[str, Any], **first: str) -> dict[str, Any]:
    """Fields under the names that they had in the first release, so that a new name makes no stage again.

    Args:
        fields: by their names of today.
        first: name of today = first name.

    >>> with_first_names({"num_beams": 4, "seed": 1}, num_beams="beams")
    {'beams': 4, 'seed': 1}
    """
    return {first.get(name, name): value for name, value in fields.items()}


def sha256_arrays(*arrays: np.ndarray) -> str:
    """Hex digest over dtype, shape and bytes of arrays, in order."""
    return sha256_stream(arrays)


def sha256_stream(arrays: Iterable[np.ndarray]) -> str:
    """The same of arrays that need not be there at once."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def sha256_texts(texts: Any) -> str:
    """Hex digest over an iterable of strings, unambiguous about where one ends."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def stage_seed(seed: int, stage: str) -> int:
    """The seed of a stage: hash(seed, stage name), so that a resumed run equals an undisturbed one (docs/method.md)."""
    return int(sha256([seed, stage])[:8], 16)


@dataclass
class StageStore:
    """Builds a stage once and finds it again.

    Args:
        root: the folder that holds the stages.
        on_stage: called with (stage name, seconds, reused) after each `get`, for the result's `seconds`.
    """

    root: Path
    on_stage: Callable[[str, float, bool], None] = field(default=lambda name, seconds, reused: None)

    def path(self, name: str, inputs: Mapping[str, Any]) -> Path:
        """Where the stage with these inputs lies, built or not."""
        return self.root / f"{name}-{sha256([FORMAT, name, dict(inputs)])[:16]}"

    def running(self, name: str, inputs: Mapping[str, Any]) -> Path:
        """Where a stage that takes long may keep what lets it go on after a kill; removed when the stage is whole."""
        return self.root / ".running" / self.path(name, inputs).name

    def has(self, name: str, inputs: Mapping[str, Any]) -> bool:
        """Whether `get` would find the stage and build nothing."""
        return (self.path(name, inputs) / "stage.json").is_file()

    def get(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """The folder of a finished stage; `build(folder)` fills a new one where there is none yet.

        Args:
            name: the stage's name, the first part of the folder's.
            inputs: everything that the stage's outcome depends on, as JSON-like values.
            build: writes the stage's files into the empty folder it is given; what it raises leaves no stage behind.
        """
        final = self.path(name, inputs)
        if self._found(name, final):
            return final
        with self._lock(final):
            if not self._found(name, final):
                self._build(name, inputs, build, final)
        return final

    def _found(self, name: str, final: Path) -> bool:
        manifest = final / "stage.json"
        if not manifest.is_file():
            return False
        self.on_stage(name, float(json.loads(manifest.read_text())["seconds"]), True)
        return True

    @contextmanager
    def _lock(self, final: Path) -> Iterator[None]:
        """Held while the stage is built; the file stays, for removing it would part those who wait from who comes."""
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{final.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            getLogger(__name__).info(f"stage {final.name}: another process is making it, waiting")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _build(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], None], final: Path) -> None:
        partial = final.with_name(f"{final.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # what a killed holder of the lock left
        partial.mkdir(parents=True)
        start = time.perf_counter()
        try:
            build(partial)
            seconds = time.perf_counter() - start
            text = json.dumps({"stage": name, "format": FORMAT, "seconds": seconds, "inputs": dict(inputs)}, indent=1)
            (partial / "stage.json").write_text(text)
            self._publish(partial, final)
            shutil.rmtree(self.running(name, inputs), ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self.on_stage(name, seconds, False)

    @staticmethod
    def _publish(partial: Path, final: Path) -> None:
        """Renames in one step; where another run was faster, its equal stage stands and ours is dropped."""
        if final.is_dir() and not (final / "stage.json").is_file():
            shutil.rmtree(final)
        try:
            partial.rename(final)
        except OSError:
            if not (final / "stage.json").is_file():
                raise
