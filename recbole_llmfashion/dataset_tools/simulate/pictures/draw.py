"""Draws one product: its outline filled with a color and a pattern, a line around it, light from above, a little noise.

Equal products give equal pixels, but for the product's own place and size on the ground.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from recbole_llmfashion.dataset_tools.simulate.pictures.outlines import OUTLINE_OF, parts

SIDE, FINER = 128, 3  # pixels of a picture, and how much larger it is drawn
PATTERNS = ("plain", "striped", "checked", "dotted", "floral")
# words of shop.words.COLORS -> sRGB
SHADES: dict[str, str] = {
    "Black": "#1c1c1e", "Jet Black": "#0e0e10", "White": "#fafafa", "Off White": "#f3efe4", "Ivory": "#fbf6e2",
    "Grey": "#8c8f94", "Gray": "#9a9a9a", "Charcoal": "#4a4d52", "Navy": "#1f2a55", "Navy Blue": "#1a2466",
    "Dark Blue": "#232f6e", "Blue": "#2f6fc4", "Royal Blue": "#2f55d4", "Sky Blue": "#85bfe8", "Brown": "#6b4426",
    "Chestnut": "#8a4a32", "Coffee": "#513828", "Beige": "#dccbb0", "Tan": "#cdae84", "Khaki": "#b8a782",
    "Red": "#cc2030", "Cherry Red": "#b5102e", "Scarlet": "#e03a25", "Pink": "#f0a3b8", "Rose": "#dd6a8a",
    "Blush": "#eebfc2", "Green": "#2e8048", "Olive": "#74763a", "Army Green": "#545a38", "Burgundy": "#6d1a2e",
    "Wine Red": "#782438", "Maroon": "#63101f", "Purple": "#71389c", "Lavender": "#b8a4dd", "Plum": "#7d3a70",
    "Gold": "#cfa443", "Champagne": "#e4cc9f", "Rose Gold": "#c08074", "Yellow": "#f2d433", "Mustard": "#d3a128",
    "Lemon": "#f6ec6a",
}  # fmt: skip
_LINE = 0.45  # brightness of the line around a product, of its own color


@dataclass(frozen=True)
class Garment:
    """What a picture shows.

    Args:
        kind: type of product, such as Ankle Boots.
        color, second: of SHADES; the pattern and the trim have the second.
        pattern: of PATTERNS.
        seed: of its place, size and noise.
    """

    kind: str
    color: str
    second: str
    pattern: str
    seed: int


def _rgb(shade: str) -> np.ndarray:
    return np.array([int(SHADES[shade][at : at + 2], 16) for at in (1, 3, 5)], np.float64)


def draw_garment(garment: Garment) -> Image.Image:
    """The picture, SIDE by SIDE pixels, RGB."""
    rng = np.random.default_rng(garment.seed)
    size = SIDE * FINER
    scale, (left, top) = rng.uniform(0.86, 0.98) * size / 100, rng.uniform(-1, 1, 2) * size * 0.015
    margin = (size - 100 * scale) / 2

    masks = {name: Image.new("L", (size, size)) for name in ("body", "trim")}
    pens = {name: ImageDraw.Draw(mask) for name, mask in masks.items()}
    for kind, points in parts(OUTLINE_OF.get(garment.kind, "box")):
        placed = [(x * scale + margin + left, y * scale + margin + top) for x, y in points]
        _add(kind, placed, pens, round(2.2 * scale))
    if rng.random() < 0.5:
        masks = {name: mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for name, mask in masks.items()}
    body, trim = (np.asarray(masks[name].resize((SIDE, SIDE), Image.Resampling.BOX)) / 255 for name in ("body", "trim"))
    color, second = _rgb(garment.color) + rng.normal(0, 4, 3), _rgb(garment.second) + rng.normal(0, 4, 3)
    shade = np.linspace(1.06, 0.9, SIDE)[:, None, None]
    cloth = np.where(_pattern(garment.pattern, rng)[..., None], second, color)
    whole = np.minimum(body + trim, 1)
    canvas = np.full((SIDE, SIDE, 3), rng.choice([255.0, 252.0, 244.0, 236.0]))
    for share, paint in ((body, cloth * shade), (trim, second * shade), (_rim(whole), color * _LINE)):
        canvas += share[..., None] * (paint - canvas)
    canvas += rng.normal(0, 2.5, (SIDE, SIDE, 1)) * whole[..., None]
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


def _add(kind: str, points: list[tuple[float, float]], pens: dict[str, ImageDraw.ImageDraw], width: int) -> None:
    """Adds a part to the masks; what is added to one is taken from the other."""
    box = [*points[0], *points[-1]]
    for name, pen in pens.items():
        own = name == ("body" if kind in ("body", "oval") else "trim")
        fill = 255 if own and kind != "hole" else 0
        if kind in ("body", "trim"):
            pen.polygon(points, fill=fill)
        elif kind == "line":
            pen.line(points, fill=fill, width=width)
        elif kind == "ring":
            pen.ellipse(box, outline=fill, width=2 * width)
        else:
            pen.ellipse(box, fill=fill)


def _pattern(name: str, rng: np.random.Generator) -> np.ndarray:
    """[SIDE, SIDE] bool, where the second color is."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE * 100
    step = rng.uniform(9, 13)
    if name == "striped":
        return (x + rng.choice([0.0, 1.0]) * (y - x)) % step < 0.4 * step
    if name == "checked":
        return (x % step < 0.3 * step) | (y % step < 0.3 * step)
    if name == "plain":
        return np.zeros((SIDE, SIDE), bool)
    row = np.floor(y / step)
    across, down = (x + row % 2 * step / 2) % step - step / 2, y % step - step / 2
    if name == "dotted":
        return np.hypot(across, down) < 0.28 * step
    turn = np.arctan2(down, across)
    return np.hypot(across, down) < step * (0.26 + 0.14 * np.cos(5 * turn))


def _rim(shape: np.ndarray) -> np.ndarray:
    """[SIDE, SIDE] from 0 to 1, how much of a pixel is along the edge of a shape, within it."""
    inner = Image.fromarray((shape * 255).astype(np.uint8)).filter(ImageFilter.MinFilter(3))
    return shape - np.asarray(inner) / 255
