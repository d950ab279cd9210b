"""Users and their tastes: colors, brands, price level, style, sizes and types of products."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.draws import IntArray, draw, gumbel_argmax
from recbole_llmfashion.dataset_tools.simulate.shop.brands import Brands
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import segment_sizes
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category
from recbole_llmfashion.dataset_tools.simulate.shop.words import COLOR_POPULARITY

FAVOURITE_BRANDS = 3


@dataclass(frozen=True)
class Users:
    """Tastes of n users.

    Args:
        audience: [n] the user's own audience.
        colors: [n, colors] taste from 0 to 1; that for the favourite is 1.
        brands: [n, 3] favourite brands, best first.
        tier: [n] price level from 0 to 1.
        style: [n] favourite style.
        sizes: [n, audiences * types] index of the size that the user buys.
        types: [n, types] preference, around 1.
    """

    audience: IntArray
    colors: NDArray[np.float32]
    brands: IntArray
    tier: NDArray[np.float64]
    style: IntArray
    sizes: NDArray[np.int8]
    types: NDArray[np.float32]


def make_users(category: Category, brands: Brands, count: int, rng: np.random.Generator) -> Users:
    """Draw `count` users; their favourite brands are popular brands of a similar price level and style."""
    tier = rng.beta(2.0, 2.0, size=count)
    style = rng.integers(len(category.styles), size=count)
    return Users(
        audience=draw(np.array([share for _, share in category.audiences]), count, rng),
        colors=_color_taste(count, rng),
        brands=_favourite_brands(brands, tier, style, rng),
        tier=tier,
        style=style,
        sizes=_sizes(category, count, rng),
        types=np.exp(0.9 * rng.standard_normal((count, len(category.types)))).astype(np.float32),
    )


def _color_taste(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    popularity = np.log(np.array(COLOR_POPULARITY))
    liking = 0.8 * popularity + rng.gumbel(size=(count, len(popularity)))
    ranks = np.argsort(np.argsort(-liking, axis=1), axis=1)
    return np.array([1.0, 0.6, 0.35] + [0.0] * (len(popularity) - 3), dtype=np.float32)[ranks]


def _favourite_brands(brands: Brands, tier: NDArray[np.float64], style: IntArray, rng: np.random.Generator) -> IntArray:
    """Favourite brands, drawn for groups of similar users, so that no array is [users, brands]."""
    favourites = np.zeros((len(tier), FAVOURITE_BRANDS), dtype=np.int64)
    level = np.minimum((tier * 8).astype(np.int64), 7)
    group = level * (style.max(initial=0) + 1) + style
    for one in np.unique(group):
        rows = np.flatnonzero(group == one)
        near = -4.0 * np.abs(brands.tier - (level[rows[0]] + 0.5) / 8) + 0.8 * (brands.style == style[rows[0]])
        weight = brands.popularity * np.exp(near)
        favourites[rows] = draw(weight, len(rows) * FAVOURITE_BRANDS, rng).reshape(-1, FAVOURITE_BRANDS)
    return favourites


def _sizes(category: Category, count: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Sizes by one body size per user and audience, so that sizes of different types agree."""
    labels = segment_sizes(category)
    body = rng.beta(3, 3, size=(count, len(category.audiences)))
    spread = np.repeat(body, len(category.types), axis=1)
    return np.minimum(spread * labels, labels - 1).astype(np.int8)


def other_audience(category: Category, audience: IntArray, rng: np.random.Generator) -> IntArray:
    """The audience of a purchase for another person; the user's own if the category has only one."""
    share = np.log(np.array([share for _, share in category.audiences]))
    scores = np.tile(share, (len(audience), 1))
    if scores.shape[1] > 1:
        scores[np.arange(len(audience)), audience] = -np.inf
    return gumbel_argmax(scores, 1.0, rng)
