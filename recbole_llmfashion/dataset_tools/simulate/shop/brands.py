"""Brands: invented names, Zipf popularity, price tier, style, favoured types and habits of titling.

It knows nothing of items.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.draws import IntArray
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category
from recbole_llmfashion.dataset_tools.simulate.shop.words import (
    BRAND_HEADS,
    BRAND_MIDDLES,
    BRAND_TAILS,
)

TITLE_PATTERNS = 6
ZIPF_EXPONENT = 0.9


@dataclass(frozen=True)
class Brands:
    """names [n]; popularity [n], sums to 1; tier [n] in 0..1, cheap to dear; style [n]; title pattern [n];
    says_size [n], whether its titles name the size; types [n, types], how much of each type it makes."""

    names: NDArray[np.object_]
    popularity: NDArray[np.float64]
    tier: NDArray[np.float64]
    style: IntArray
    pattern: IntArray
    says_size: NDArray[np.bool_]
    types: NDArray[np.float64]


def make_brands(category: Category, items: int, rng: np.random.Generator) -> Brands:
    """Draw about sqrt(items) brands, at least 12; popularity ~ rank^-0.9 over a random order."""
    count = int(max(12, items**0.5))
    popularity = 1.0 / np.arange(1, count + 1) ** ZIPF_EXPONENT
    # a brand makes some of the types, not all: a cut Dirichlet-like profile, never empty
    profile = rng.gamma(1.2, size=(count, len(category.types))) + 0.02
    return Brands(
        names=_names(count, rng),
        popularity=popularity / popularity.sum(),
        tier=rng.beta(1.6, 1.6, size=count),
        style=rng.integers(len(category.styles), size=count),
        pattern=rng.integers(TITLE_PATTERNS, size=count),
        says_size=rng.random(count) < 0.25,
        types=profile / profile.sum(axis=1, keepdims=True),
    )


def _names(count: int, rng: np.random.Generator) -> NDArray[np.object_]:
    every = [head + middle + tail for head in BRAND_HEADS for middle in BRAND_MIDDLES for tail in BRAND_TAILS]
    unique = sorted(set(every))
    return np.array([unique[i] for i in rng.permutation(len(unique))[:count]], dtype=object)
