"""The dominant colors of a picture: k-means in CIELAB over the pixels that are not its background. No model.

The background is what touches the border of the picture and has the border's own color. A picture without such a border
has no background, and one that is nothing else is taken as a whole.
"""

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.ndimage import label

from recbole_llmfashion.dataset_tools.images.lab import color_name, to_lab
from recbole_llmfashion.dataset_tools.images.pictures import Picture

SIDE = 128  # pixels of the longer side that are compared
POINTS = 3000  # about the most pixels that k-means reads
CLUSTERS, ROUNDS = 5, 20  # of k-means
LEAST_SHARE = 0.2  # of the foreground that a dominant color has
LIKE_BORDER = 7.0  # greatest distance in CIELAB from the border's color
PLAIN_BORDER = 0.6  # share of the border's pixels that are like its color, where there is a background
LEAST_FOREGROUND = 0.02  # of all pixels, below which the picture is taken as a whole


def small_lab(picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """The pixels to compare, [h, w, 3] CIELAB, and which of them are foreground, [h, w] bool."""
    width, height = picture.image.size
    scale = min(1.0, SIDE / max(width, height))
    rows, columns = ((np.arange(max(1, round(n * scale))) / scale).astype(int) for n in (height, width))
    # points, not means: a mean of two colors is a third one
    lab = to_lab(picture.rgb[rows][:, columns])
    opaque = picture.opaque[rows][:, columns]
    return lab, foreground(lab, opaque)


def foreground(lab: np.ndarray, opaque: np.ndarray) -> np.ndarray:
    """[h, w] bool, the pixels that are not background.

    Args:
        lab: [h, w, 3].
        opaque: [h, w] bool, False for transparent pixels.
    """
    edge = np.zeros(opaque.shape, bool)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    border = lab[edge & opaque]
    found = opaque.copy()
    if len(border):
        like = np.linalg.norm(lab - np.median(border, axis=0), axis=-1) <= LIKE_BORDER
        if like[edge & opaque].mean() >= PLAIN_BORDER:
            parts, _ = label(like | ~opaque)
            touching = np.unique(parts[edge])
            found &= ~np.isin(parts, touching[touching > 0])
    if found.mean() >= LEAST_FOREGROUND:
        return found
    return opaque if opaque.any() else np.ones_like(opaque)


def dominant_colors(lab: np.ndarray, chosen: np.ndarray) -> list[tuple[str, float]]:
    """Names and shares of the dominant colors, the largest first.

    Args:
        lab, chosen: as `small_lab` returns them.

    Returns:
        (name, share of the foreground) with LEAST_SHARE or more; the largest alone where none has.
    """
    points = lab[chosen]
    points = points[:: max(1, len(points) // POINTS)]
    clusters = min(CLUSTERS, len(np.unique(points, axis=0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster has no share
        centers, members = kmeans2(points, clusters, iter=ROUNDS, minit="++", seed=0)
    counts = np.bincount(members, minlength=clusters)
    shares: dict[str, float] = {}
    for center, count in zip(centers, counts, strict=True):
        if count:
            name = color_name(center)
            shares[name] = shares.get(name, 0.0) + float(count) / len(points)
    ranked = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
    return [pair for pair in ranked if pair[1] >= LEAST_SHARE] or ranked[:1]
