"""Describes the items of a dataset by their pictures: further columns of `.item`, and the file of the pictures.

    image_color, image_accent           the first and the second dominant color, from the pixels
    image_pattern, image_material, ..   labels by a CLIP model, where there is one

A picture belongs to the item that its file is named after. Equal files are looked at once: variants often share one.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image
from tqdm import tqdm

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.images.image_file import images_bytes
from recbole_llmfashion.dataset_tools.images import labels
from recbole_llmfashion.dataset_tools.images.colors import dominant_colors, small_lab
from recbole_llmfashion.dataset_tools.images.pictures import (
    MOST_BYTES,
    SUFFIXES,
    BadPictureError,
    picture_files,
    read_picture,
    small_copy,
)
from recbole_llmfashion.dataset_tools.images.pixel_vectors import pixel_vector
from recbole_llmfashion.errors import UserError

PIXELS = "pixels"  # the source of vectors without a model
COLORS = ("image_color", "image_accent")
COLUMNS = (*COLORS, *(f"image_{attribute}" for attribute in labels.ATTRIBUTES))
BATCH = 32  # pictures that a CLIP model reads at once
HEADING = "\n## Pictures\n"


class ImageTowers(Protocol):
    """The two towers of a CLIP model.

    Attributes:
        source: `pretrained:<model>/<tag>` or `checkpoint:<model>/<file name>`.
        scale: of its logits.
    """

    source: str
    scale: float

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """n RGB pictures -> [n, d] float32 unit rows."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> [n, d] float32 unit rows."""


@dataclass(frozen=True)
class DescribedFolder:
    """A dataset with its pictures described.

    Args:
        folder: the dataset with the columns of COLUMNS that were found out.
        images: content of the file of the pictures.
        lines: what was read, left out and converted, and the share of items by label.
    """

    folder: AtomicFolder
    images: bytes
    lines: list[str]


class _Counts:
    """How many files each remark is about, and the first of them."""

    def __init__(self) -> None:
        self.number: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, remark: str, file: str) -> None:
        """Counts a file."""
        self.number[remark] += 1
        self.first.setdefault(remark, file)

    def lines(self, what: str) -> list[str]:
        """One line a remark."""
        return [f"{what}: {n:,} {remark} (first: {self.first[remark]!r:.100})" for remark, n in self.number.items()]


class _Distinct:
    """What distinct pictures say, by their number.

    Args:
        towers: of a CLIP model, or None.

    Attributes:
        colors: one or two dominant colors of each.
        small: a small copy of each, JPEG.
    """

    def __init__(self, towers: ImageTowers | None) -> None:
        self._towers = towers
        self._number: dict[str, int] = {}
        self._vectors: list[np.ndarray] = []
        self._waiting: list[Image.Image] = []
        self.colors: list[tuple[str, ...]] = []
        self.small: list[bytes] = []

    def add(self, content: bytes) -> tuple[int, tuple[str, ...]]:
        """The number of a picture, and what was converted where it is new.

        Raises:
            BadPictureError: see `read_picture`.
        """
        digest = hashlib.sha256(content).hexdigest()
        if digest in self._number:
            return self._number[digest], ()
        picture = read_picture(content)
        lab, chosen = small_lab(picture)
        self.colors.append(tuple(name for name, _ in dominant_colors(lab, chosen)[: len(COLORS)]))
        self.small.append(small_copy(picture))
        if self._towers is None:
            self._vectors.append(pixel_vector(lab, chosen)[None])
        else:
            self._waiting.append(picture.image)
            if len(self._waiting) == BATCH:
                self._encode(self._towers)
        self._number[digest] = len(self._number)
        return self._number[digest], picture.kinds

    def _encode(self, towers: ImageTowers) -> None:
        if self._waiting:
            self._vectors.append(towers.encode_images(self._waiting))
            self._waiting.clear()

    def vectors(self) -> np.ndarray:
        """[n, d] float32 unit rows."""
        if self._towers is not None:
            self._encode(self._towers)
        return np.concatenate(self._vectors)

    def columns(self, vectors: np.ndarray, margin: float) -> dict[str, list[str]]:
        """A text of each picture for each column; arguments as for `describe_images`."""
        found = {
            name: [colors[at] if at < len(colors) else "" for colors in self.colors] for at, name in enumerate(COLORS)
        }
        if self._towers is None:
            return found
        for attribute in labels.ATTRIBUTES:
            cosines = vectors @ self._towers.encode_texts(labels.phrases(attribute)).T
            found[f"image_{attribute}"] = labels.choose(cosines, self._towers.scale, attribute, margin)
        return found


def describe_images(
    images: Path,
    folder: AtomicFolder,
    towers: ImageTowers | None = None,
    margin: float = labels.MARGIN,
    show_progress: bool = False,
) -> DescribedFolder:
    """Describes the items of a dataset by their pictures; nothing is written.

    Args:
        images: folder of the pictures; subfolders are read too. The stem of a file's name is the item's id.
        folder: the dataset.
        towers: of a CLIP model; None for what the pixels say alone.
        margin: see `labels.choose`.
        show_progress: whether to show a progress bar.

    Raises:
        UserError: there is no such folder, or no picture of an item in it.
    """
    left_out, converted = _Counts(), _Counts()
    files = _files_by_item(images, set(folder.items["item_id"]), left_out)
    distinct = _Distinct(towers)
    number: dict[str, int] = {}
    for item, path in tqdm(files.items(), desc="pictures", unit="file", disable=not show_progress):
        try:
            number[item], kinds = distinct.add(_content(path))
        except BadPictureError as error:
            left_out.add(str(error), path.name)
            continue
        for kind in kinds:
            converted.add(kind, path.name)
    if not number:
        reasons = "; ".join(left_out.lines("left out")) or "it has no file"
        raise UserError(f"--images: no picture in {images} could be read as one of an item of {folder.name}; {reasons}")
    vectors = distinct.vectors()
    source = PIXELS if towers is None else towers.source
    texts = distinct.columns(vectors, margin)
    described = _with_columns(folder, {name: _by_item(folder, number, column) for name, column in texts.items()})
    items = [item for item in folder.items["item_id"] if item in number]
    rows = [number[item] for item in items]
    content = images_bytes(items, vectors[rows], [distinct.small[row] for row in rows], source)
    without = ["no CLIP weights: colors and vectors come from the pixels alone; --clip_pretrained names weights"]
    lines = [
        *(without if towers is None else []),
        f"pictures: {len(items):,} of {len(folder.items):,} items, {len(vectors):,} distinct ones; vectors of {source}",
        *left_out.lines("left out"),
        *converted.lines("converted"),
        *_shares(described, list(texts), len(items)),
    ]
    return DescribedFolder(described, content, lines)


def _files_by_item(images: Path, items: set[str], left_out: _Counts) -> dict[str, Path]:
    """The first file of each item."""
    if not images.is_dir():
        raise UserError(f"--images: expected a folder of pictures, found none at {images}")
    files, others = picture_files(images)
    found: dict[str, Path] = {}
    for path in files:
        if path.stem not in items:
            left_out.add("of no item", path.name)
        elif path.stem in found:
            left_out.add("of an item that has another", path.name)
        else:
            found[path.stem] = path
    for path in others:
        left_out.add(f"not named {', '.join(SUFFIXES)}", path.name)
    return found


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadPictureError(f"more than {MOST_BYTES // 2**20} MB")
        return path.read_bytes()
    except OSError as error:
        raise BadPictureError(f"not readable ({error.strerror})") from error


def _by_item(folder: AtomicFolder, number: Mapping[str, int], texts: Sequence[str]) -> list[str]:
    """A text of each item, "" without a picture."""
    return [texts[number[item]] if item in number else "" for item in folder.items["item_id"]]


def _with_columns(folder: AtomicFolder, columns: Mapping[str, list[str]]) -> AtomicFolder:
    """The dataset with these columns in place of those of an earlier call."""
    kept = folder.items.drop(columns=[name for name in COLUMNS if name in folder.items])
    further = {name: kind for name, kind in folder.further.items() if name not in COLUMNS}
    return replace(folder, items=kept.assign(**columns), further=further | dict.fromkeys(columns, "token"))


def _shares(folder: AtomicFolder, columns: Sequence[str], pictures: int) -> list[str]:
    """A line a column: the share of the items with a picture that have each label."""
    lines = []
    for name in columns:
        counts = Counter(text for text in folder.items[name] if text)
        parts = [f"{text} {count / pictures:.1%}" for text, count in counts.most_common()]
        lines.append(f"{name}: {', '.join([*parts, f'none {1 - counts.total() / pictures:.1%}'])}")
    return lines


def readme_with_pictures(readme: str, command: str, lines: Sequence[str]) -> str:
    """The README.md of a dataset with a section about its pictures, in place of an earlier one.

    Args:
        readme: its text.
        command: the command line.
        lines: of DescribedFolder.
    """
    said = "\n".join(f"- {line}" for line in lines)
    before, _, old = readme.partition(HEADING)
    _, heading, after = old.partition("\n## ")
    return (
        f"{before.rstrip()}\n{HEADING}\n    {command}\n\nwrote the columns `image_*` of `.item` and the file "
        f"`*.images.safetensors`, so a SHA-256 of `.item` that is said above is the one from before.\n\n{said}\n"
        f"{heading}{after}"
    )
