"""A fixed pseudo-random order of tokens, the same in every catalogue and every run: it breaks ties and picks users."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np


def tie_rank(tokens: Sequence[str]) -> np.ndarray:
    """A fixed pseudo-random rank for each item, from its token alone.

    Args:
        tokens: n distinct item tokens.

    Returns:
        [n] int64, a permutation of 0..n-1; the relative order of two items is the same in every catalogue.
    """
    keys = [(blake2b(token.encode("utf-8"), digest_size=8).digest(), token) for token in tokens]
    ranks = np.empty(len(keys), np.int64)
    ranks[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return ranks
