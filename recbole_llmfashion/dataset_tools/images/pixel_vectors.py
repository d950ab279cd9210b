"""A unit vector of a picture without any model: which colors its foreground has, and where its foreground is.

    v = unit([unit(sqrt(h)), unit(g)])

h is the histogram of the foreground in CIELAB, whose root makes the dot product the Bhattacharyya coefficient of two
histograms; g is the share of foreground in each field of a grid over the foreground's bounding box. Pictures with the
same colors and the same outline are alike; what a picture shows is not known.
"""

import numpy as np

LIGHT = np.array([25.0, 50.0, 75.0])  # edges of L
CHROMA = np.array([-30.0, -10.0, 10.0, 30.0])  # edges of a and of b
GRID = 8  # fields a side
WIDTH = (len(LIGHT) + 1) * (len(CHROMA) + 1) ** 2 + GRID**2


def pixel_vector(lab: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """[WIDTH] float32 of length 1.

    Args:
        lab: [h, w, 3].
        chosen: [h, w] bool, the foreground; some pixel is.
    """
    both = np.concatenate([_unit(np.sqrt(_histogram(lab[chosen]))), _unit(_outline(chosen))])
    return _unit(both).astype(np.float32)


def _histogram(points: np.ndarray) -> np.ndarray:
    light, a, b = np.digitize(points[:, 0], LIGHT), *(np.digitize(points[:, at], CHROMA) for at in (1, 2))
    steps = len(CHROMA) + 1
    return np.bincount((light * steps + a) * steps + b, minlength=WIDTH - GRID**2) / len(points)


def _outline(chosen: np.ndarray) -> np.ndarray:
    """[GRID * GRID] share of foreground in each field of its bounding box."""
    rows, columns = np.nonzero(chosen)
    box = chosen[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float64)
    return (_fields(box.shape[0]) @ box @ _fields(box.shape[1]).T).ravel()


def _fields(pixels: int) -> np.ndarray:
    """[GRID, pixels] the share of each field that a pixel covers."""
    edges, pixel = np.linspace(0, pixels, GRID + 1)[:, None], np.arange(pixels)
    covered = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
    return np.clip(covered, 0, None) * GRID / pixels


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
