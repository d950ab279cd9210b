"""Reads picture files that others made: small, as plain RGB, and never more of one than a bound.

Only formats that Pillow decodes by itself are opened. The size is read from the header before any pixel is, so a
decompression bomb costs nothing. Of an animation the first frame is read.
"""

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
MOST_BYTES = 100 * 2**20  # of a file
MOST_PIXELS = 50_000_000  # of a picture: 150 MB as RGB
SIDE = 512  # pixels of the longer side that are kept
SMALL_SIDE, QUALITY = 96, 80  # of the copies that pages show
OPAQUE = 128  # least alpha of a pixel that counts


class BadPictureError(Exception):
    """A file that is not read as a picture; the text says why."""


@dataclass(frozen=True)
class Picture:
    """A picture, its longer side at most SIDE pixels.

    Args:
        image: RGB; transparent pixels lie on white.
        opaque: [height, width] bool, which pixels are of the picture.
        kinds: what was converted: animated, grey, CMYK, transparent.
    """

    image: Image.Image
    opaque: np.ndarray
    kinds: tuple[str, ...] = ()

    @property
    def rgb(self) -> np.ndarray:
        """[height, width, 3] uint8."""
        return np.asarray(self.image)


def read_picture(content: bytes) -> Picture:
    """Reads a picture.

    Args:
        content: of a file.

    Raises:
        BadPictureError: it is no picture of FORMATS, broken, or larger than MOST_PIXELS.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(content), formats=FORMATS) as image:
                return _picture(image)
    except Image.DecompressionBombError as error:
        raise BadPictureError(f"more than {MOST_PIXELS / 1e6:.0f} megapixels") from error
    except BadPictureError:
        raise
    except Exception as error:  # a decoder may fail in any way on bytes that somebody made for it
        raise BadPictureError("broken") from error


def _picture(image: Any) -> Picture:
    if image.width * image.height > MOST_PIXELS:
        raise BadPictureError(f"more than {MOST_PIXELS / 1e6:.0f} megapixels")
    kinds = ["animated"] if getattr(image, "n_frames", 1) > 1 else []
    kinds += ["grey"] if image.mode in ("1", "L", "LA", "I", "I;16", "I;16B", "F") else []
    kinds += ["CMYK"] if image.mode == "CMYK" else []
    image.draft("RGB" if image.mode == "YCbCr" else image.mode, (SIDE, SIDE))  # JPEG decodes at a smaller scale
    image.load()
    image = _eight_bits(ImageOps.exif_transpose(image))
    has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    image = image.convert("RGBA" if has_alpha else "RGB")
    image.thumbnail((SIDE, SIDE))
    if not has_alpha:
        return Picture(image, np.ones((image.height, image.width), bool), tuple(kinds))
    opaque = np.asarray(image.getchannel("A")) >= OPAQUE
    ground = Image.new("RGBA", image.size, "white")
    kinds += [] if opaque.all() else ["transparent"]
    return Picture(Image.alpha_composite(ground, image).convert("RGB"), opaque, tuple(kinds))


def _eight_bits(image: Any) -> Any:
    """Grey levels of 16 bits or more from 0 to 255; Pillow would cut them off at 255."""
    if image.mode not in ("I", "I;16", "I;16B", "F"):
        return image
    levels = np.asarray(image, np.float64)
    whole = 255.0 if levels.max(initial=0) <= 255 else max(65535.0, float(levels.max()))
    return Image.fromarray(np.clip(levels / whole * 255, 0, 255).astype(np.uint8))


def small_copy(picture: Picture) -> bytes:
    """The picture as a JPEG of at most SMALL_SIDE pixels a side, without whatever else its file held."""
    image = picture.image.copy()
    image.thumbnail((SMALL_SIDE, SMALL_SIDE))
    image.info = {}  # Pillow writes comments and profiles of the file that was read into the next one
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def picture_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of a folder and its subfolders, sorted: pictures by the ends of their names, and the others."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = [path for path in files if path.suffix.lower() in SUFFIXES]
    return named, [path for path in files if path.suffix.lower() not in SUFFIXES]
