"""Pictures that tests draw, of every kind that a folder of a shop may hold."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

RED, BLUE, GREEN = (200, 30, 40), (40, 90, 210), (40, 130, 60)


def drawn(color=RED, shape="ellipse", ground="white", size=(80, 60), mode="RGB", second=None) -> Image.Image:
    """A plain shape on a plain ground; with `second`, the right half of it has another color."""
    image = Image.new("RGB", size, ground)
    pen, (width, height) = ImageDraw.Draw(image), size
    box = (width // 8, height // 8, width * 7 // 8, height * 7 // 8)
    getattr(pen, shape)(box, fill=color)
    if second is not None:
        pixels = np.array(image)
        half = pixels[:, width // 2 :]
        half[(half == color).all(axis=-1)] = second
        image = Image.fromarray(pixels)
    return image.convert(mode)


def as_bytes(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    """The content of a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of a few kilobytes whose header promises gigapixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
    )


def write_pictures(folder: Path, colors: dict[str, tuple[int, int, int]]) -> Path:
    """One PNG for each item."""
    folder.mkdir(parents=True, exist_ok=True)
    for item, color in colors.items():
        drawn(color).save(folder / f"{item}.png")
    return folder
