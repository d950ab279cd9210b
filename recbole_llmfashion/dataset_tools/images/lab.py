"""CIELAB, in which distances are about those that people see, and the names of colors in it."""

import numpy as np

_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                    [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65

# name -> sRGB of its usual shades in fashion
NAMES: dict[str, tuple[str, ...]] = {
    "black": ("#101012", "#2a2a2d"),
    "white": ("#ffffff", "#f2f0ea", "#fffff0"),
    "grey": ("#808080", "#b0b0b0", "#d3d3d3", "#5a5d62"),
    "navy": ("#000080", "#1b2a52", "#2c3a63"),
    "blue": ("#0047ab", "#4169e1", "#1e90ff", "#87ceeb", "#5b84b1"),
    "brown": ("#654321", "#8b4513", "#4b3621", "#a0622d", "#7b5a45"),
    "beige": ("#f5f5dc", "#e1c9a8", "#d2b48c", "#c3b091"),
    "red": ("#ff0000", "#d2042d", "#c0202c", "#ff2400"),
    "pink": ("#ffc0cb", "#ff69b4", "#e8909c", "#de5d83"),
    "green": ("#008000", "#6b8e23", "#4b5320", "#808000", "#90c080", "#2e8b57"),
    "burgundy": ("#800020", "#722f37", "#5e1224"),
    "purple": ("#800080", "#6a3d9a", "#b9a0dc", "#8e4585"),
    "gold": ("#d4af37", "#c9a24b", "#b76e79", "#e9d3a0"),
    "yellow": ("#ffff00", "#ffdb58", "#fff44f", "#e1ad01"),
    "orange": ("#ff8c00", "#ff7f50", "#e2725b"),
    "turquoise": ("#40e0d0", "#008080", "#7fdbda"),
}


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB to CIELAB under D65.

    Args:
        rgb: [.., 3] uint8.

    Returns:
        [.., 3] float64: L from 0 to 100, a and b about -100 to 100.

    >>> to_lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], np.uint8)).round().astype(int).tolist()
    [[100, 0, 0], [0, 0, 0], [53, 80, 67]]
    """
    value = np.asarray(rgb, np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _TO_XYZ.T / _WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _shades() -> tuple[list[str], np.ndarray]:
    pairs = [(name, shade) for name, shades in NAMES.items() for shade in shades]
    rgb = np.array([[int(shade[at : at + 2], 16) for at in (1, 3, 5)] for _, shade in pairs], np.uint8)
    return [name for name, _ in pairs], to_lab(rgb)


_SHADE_NAMES, _SHADES = _shades()


def color_name(lab: np.ndarray) -> str:
    """The name whose nearest shade is nearest (CIE76).

    >>> color_name(to_lab(np.array([20, 22, 60], np.uint8)))
    'navy'
    """
    return _SHADE_NAMES[int(((_SHADES - lab) ** 2).sum(axis=1).argmin())]
