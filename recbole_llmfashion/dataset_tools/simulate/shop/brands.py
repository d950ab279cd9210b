"""Brands: invented names, Zipf popularity, price level, style, types of products and form of titles."""

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
    """n brands.

    Args:
        names: [n] names.
        popularity: [n] probabilities.
        tier: [n] price level from 0 (cheap) to 1.
        style: [n] index of the style.
        pattern: [n] index of the order of words in titles.
        says_size: [n] bool, whether titles contain the size.
        types: [n, types] share of each type in the brand's products.
    """

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
    # a brand has mostly a few types: a Dirichlet-like profile that is nowhere 0
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
