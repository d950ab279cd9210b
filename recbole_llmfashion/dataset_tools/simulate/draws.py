"""Vectorized random draws that numpy does not have."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def draw_rows(weights: NDArray[np.floating], rng: np.random.Generator) -> IntArray:
    """Draw one column per row.

    Args:
        weights: [n, k] >= 0, proportional to the probabilities.
        rng: random generator.

    Returns:
        [n] int64, -1 for a row of zeros.

    >>> draw_rows(np.array([[0.0, 2.0], [1.0, 0.0], [0.0, 0.0]]), np.random.default_rng(0)).tolist()
    [1, 0, -1]
    """
    cumulative = np.cumsum(weights, axis=1, dtype=np.float64)
    total = cumulative[:, -1]
    point = rng.random(len(weights)) * total
    column = (cumulative <= point[:, None]).sum(axis=1)
    return np.where(total > 0, np.minimum(column, weights.shape[1] - 1), -1).astype(np.int64)


def draw(weights: NDArray[np.floating], count: int, rng: np.random.Generator) -> IntArray:
    """[count] int64 independent draws from 0..k-1 with probabilities proportional to `weights` [k]."""
    cumulative = np.cumsum(weights, dtype=np.float64)
    point = rng.random(count) * cumulative[-1]
    return np.minimum(np.searchsorted(cumulative, point, side="right"), len(weights) - 1).astype(np.int64)


def gumbel_argmax(scores: NDArray[np.floating], scale: float, rng: np.random.Generator) -> IntArray:
    """Draw one column per row from softmax(scores / scale): the argmax of scores + scale * Gumbel noise.

    Args:
        scores: [n, k]; a column with -inf is never drawn.
        scale: of the noise.
        rng: random generator.

    Returns:
        [n] int64, -1 for a row of -inf.
    """
    noisy = scores + scale * rng.gumbel(size=scores.shape)
    best = noisy.argmax(axis=1)
    return np.where(np.isneginf(scores).all(axis=1), -1, best).astype(np.int64)
