"""A fixed pseudo-random order of tokens, the same in every catalogue and run, to break ties and to sample users."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np


def tie_rank(tokens: Sequence[str]) -> np.ndarray:
    """Rank of each token by its blake2b hash.

    Args:
        tokens: n distinct item tokens.

    Returns:
        [n] int64, a permutation of 0..n-1. The relative order of two tokens does not depend on the others.

    >>> tie_rank(["A", "B", "C"]).tolist()
    [0, 2, 1]
    >>> tie_rank(["C", "B"]).tolist()
    [0, 1]
    """
    keys = [(blake2b(token.encode("utf-8"), digest_size=8).digest(), token) for token in tokens]
    ranks = np.empty(len(keys), np.int64)
    ranks[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return ranks
