"""`<name>.images.safetensors` beside the files of a dataset: vectors of the items' pictures, and small copies to show.

    vectors   float32 [n, d]   unit rows
    small     uint8 [bytes]    the small copies as JPEG, one after another
    first     int64 [n + 1]    where each of them begins
    metadata  about: JSON of format, source (what made the vectors) and items (their ids)

It holds no name and no byte of the pictures' own files, so nothing that such a file hides goes further than this one.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json

FORMAT = "1"
SUFFIX = ".images.safetensors"
JPEG = b"\xff\xd8\xff"
MOST_BYTES = 2**16  # of a small copy
AGAIN = "run `recbole-llmfashion describe-images` again"


def images_path(folder: Path, name: str) -> Path:
    """Where the pictures of a dataset are, if it has any.

    Args:
        folder: of the dataset.
        name: of the dataset.
    """
    return folder / f"{name}{SUFFIX}"


def images_bytes(item_ids: Sequence[str], vectors: np.ndarray, small: Sequence[bytes], source: str) -> bytes:
    """The content of the file.

    Args:
        item_ids: of the n items that have a picture.
        vectors: [n, d] float32 unit rows.
        small: n small copies, JPEG.
        source: what made the vectors, as `ItemImages.source`.
    """
    from safetensors.numpy import save

    first = np.cumsum([0, *map(len, small)]).astype(np.int64)
    tensors: dict[str, np.ndarray] = {
        "vectors": np.ascontiguousarray(vectors, np.float32),
        "small": np.frombuffer(b"".join(small), np.uint8),
        "first": first,
    }
    # one entry: safetensors writes several in any order, and equal pictures give equal bytes
    return save(tensors, {"about": json.dumps({"format": FORMAT, "source": source, "items": list(item_ids)})})


class ItemImages:
    """The pictures of a dataset's items. The vectors are read at once, a small copy when it is asked for.

    Args:
        path: of the file.

    Attributes:
        source: `pixels`, `pretrained:<model>/<tag>` or `checkpoint:<model>/<file name>`.
        item_ids: of the n items that have a picture.

    Raises:
        UserError: the file cannot be read, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self._path = path
        self._file: Any = self._checked(lambda: safe_open(str(path), "numpy"))
        about = self._checked(lambda: dict(parse_json(self._file.metadata()["about"])))
        if about.get("format") != FORMAT:
            raise UserError(f"{path}: format {about.get('format')!r:.20}, expected {FORMAT}; {AGAIN}")
        self.source = str(about.get("source"))
        items = about.get("items")
        self._first: np.ndarray = self._checked(lambda: self._file.get_tensor("first"))
        self._bytes: Any = self._checked(lambda: self._file.get_slice("small"))
        texts = isinstance(items, list) and all(isinstance(item, str) for item in items)
        if not texts or len(set(items)) != len(items) or self._first.shape != (len(items) + 1,):
            raise UserError(f"{path}: expected a list of distinct items, and where the copy of each begins; {AGAIN}")
        sizes, end = np.diff(self._first), self._bytes.get_shape()
        if self._first[0] != 0 or [int(self._first[-1])] != list(end) or not (sizes > 0).all():
            raise UserError(f"{path}: the small copies do not follow each other; {AGAIN}")
        self.item_ids: tuple[str, ...] = tuple(items)
        self._row = {item: row for row, item in enumerate(items)}

    def _checked(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:  # safetensors, json and the file system each raise their own kinds
            raise UserError(f"{self._path}: not readable ({type(error).__name__}); {AGAIN}") from error

    def vectors(self, item_ids: Sequence[str]) -> np.ndarray:
        """[N, d] float32 unit rows; a row of zeros for an item without a picture.

        Raises:
            UserError: the file is damaged.
        """
        table = self._checked(lambda: self._file.get_tensor("vectors"))
        if table.dtype != np.float32 or table.ndim != 2 or len(table) != len(self.item_ids) or not table.shape[1]:
            raise UserError(f"{self._path}: expected a float32 vector of each item; {AGAIN}")
        if not np.isfinite(table).all() or not np.allclose(np.linalg.norm(table, axis=1), 1, atol=1e-3):
            raise UserError(f"{self._path}: expected finite vectors of length 1; {AGAIN}")
        rows = np.asarray([self._row.get(item, -1) for item in item_ids], np.int64)
        return (
            np.where(rows[:, None] >= 0, table[rows], np.float32(0)) if len(table) else np.zeros((len(rows), 1), "f4")
        )

    def small(self, item_id: str) -> bytes | None:
        """The small copy of an item's picture, JPEG; None for an item without one, or a damaged copy."""
        row = self._row.get(item_id)
        if row is None or int(self._first[row + 1] - self._first[row]) > MOST_BYTES:
            return None
        content = self._checked(lambda: self._bytes[int(self._first[row]) : int(self._first[row + 1])]).tobytes()
        return content if content.startswith(JPEG) else None

    def data_uri(self, item_id: str) -> str:
        """The small copy as a data URI, whose letters need no escape in HTML; empty for an item without a picture."""
        content = self.small(item_id)
        return "" if content is None else f"data:image/jpeg;base64,{b64encode(content).decode('ascii')}"


def item_images(folder: Path, name: str) -> ItemImages | None:
    """The pictures of a dataset; None where it has none.

    Args:
        folder, name: as for `images_path`.

    Raises:
        UserError: the file is damaged.
    """
    path = images_path(folder, name)
    return ItemImages(path) if path.is_file() else None
