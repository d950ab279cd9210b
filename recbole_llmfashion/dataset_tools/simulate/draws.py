"""Vectorized random draws that numpy lacks; it knows nothing of shops."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def draw_rows(weights: NDArray[np.floating], rng: np.random.Generator) -> IntArray:
    """One column for each row, with probability proportional to `weights` [n, k] >= 0; a row of zeros gives -1."""
    cumulative = np.cumsum(weights, axis=1, dtype=np.float64)
    total = cumulative[:, -1]
    point = rng.random(len(weights)) * total
    column = (cumulative <= point[:, None]).sum(axis=1)
    return np.where(total > 0, np.minimum(column, weights.shape[1] - 1), -1).astype(np.int64)


def draw(weights: NDArray[np.floating], count: int, rng: np.random.Generator) -> IntArray:
    """`count` independent draws from one weight vector [k]."""
    cumulative = np.cumsum(weights, dtype=np.float64)
    point = rng.random(count) * cumulative[-1]
    return np.minimum(np.searchsorted(cumulative, point, side="right"), len(weights) - 1).astype(np.int64)


def gumbel_argmax(scores: NDArray[np.floating], scale: float, rng: np.random.Generator) -> IntArray:
    """argmax over columns of scores + scale * Gumbel noise: a draw from softmax(scores / scale). -inf never wins
    unless a row holds nothing else, then -1."""
    noisy = scores + scale * rng.gumbel(size=scores.shape)
    best = noisy.argmax(axis=1)
    return np.where(np.isneginf(scores).all(axis=1), -1, best).astype(np.int64)
