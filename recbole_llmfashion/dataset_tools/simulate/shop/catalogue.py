"""The catalogue: product families, their variants in color and size, and their days of arrival (C1, C2, C3).

Items are numbered by segment and family. `frames.py` gives them random ids and another order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.customers.seasons import (
    OCCASION_NAMES,
    SEASON_NAMES,
    season_arrivals,
)
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray, draw, draw_rows
from recbole_llmfashion.dataset_tools.simulate.shop.brands import Brands, make_brands
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category
from recbole_llmfashion.dataset_tools.simulate.shop.words import COLOR_POPULARITY, SIZES

_FAMILY_SPREAD = 0.9  # log-normal spread of a family's popularity
_VARIANT_SPREAD = 0.45
_OLD_STOCK_DAYS = 60.0  # mean age of the first day's items
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Families:
    """Product families, in the order of their segments; the variants of a family differ in color and size.

    Args:
        segment: [f] audience * number of types + type.
        brand, style, season, occasion, material: [f] indices.
        feature: [f, 2] two indices into the type's features.
        price: [f] in dollars.
        tier: [f] price level from 0 to 1.
        arrival: [f] day of arrival, negative before the year.
        log_popularity: [f].
        colors, sizes: [f] number of colors and of sizes; the variants of the last families may be incomplete.
        start: [f] first item of the family.
    """

    segment: IntArray
    brand: IntArray
    style: IntArray
    season: IntArray
    occasion: IntArray
    material: IntArray
    feature: IntArray
    price: FloatArray
    tier: FloatArray
    arrival: IntArray
    log_popularity: FloatArray
    colors: IntArray
    sizes: IntArray
    start: IntArray


@dataclass(frozen=True)
class SimulatedCatalogue:
    """All items of a simulated shop.

    Args:
        category, brands, families: of the shop.
        family, segment, color, size: [items] indices.
        price: [items] in dollars.
        arrival: [items] day of arrival, negative before the year.
        log_popularity: [items].
        segment_start: [segments + 1] first item of each segment.
        price_order: [items] items sorted by segment and price.
        price_rank: [items] inverse of `price_order`.
    """

    category: Category
    brands: Brands
    families: Families
    family: IntArray
    segment: IntArray
    color: IntArray
    size: IntArray
    price: FloatArray
    arrival: IntArray
    log_popularity: FloatArray
    segment_start: IntArray
    price_order: IntArray
    price_rank: IntArray

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.family)


def size_labels(scheme: str, audience: str) -> tuple[str, ...]:
    """Labels of a size scheme for an audience, from small to large."""
    table = SIZES[scheme]
    return table.get(audience, table.get("*", table[next(iter(table))]))


def segment_weights(category: Category) -> FloatArray:
    """Share of each audience and type in supply and demand, [audiences, types]; 0 for types without the audience."""
    weights = np.array(
        [
            [share * kind.weight * (not kind.audiences or audience in kind.audiences) for kind in category.types]
            for audience, share in category.audiences
        ]
    )
    normalized: FloatArray = weights / weights.sum()
    return normalized


def segment_sizes(category: Category) -> IntArray:
    """Number of size labels of each segment, [audiences * types]."""
    return np.array([len(size_labels(t.sizes, audience)) for audience, _ in category.audiences for t in category.types])


def make_catalogue(category: Category, items: int, rng: np.random.Generator) -> SimulatedCatalogue:
    """Draw a catalogue of `items` items."""
    brands = make_brands(category, items, rng)
    families = _make_families(category, brands, items, rng)
    counts = np.clip(items - families.start, 0, families.colors * families.sizes)
    family = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(items) - families.start[family]
    color, size = _variants(category, families, family, place, rng)
    price = np.round(families.price[family] * np.exp(0.04 * rng.standard_normal(items)), 2)
    late = (place > 0) & (rng.random(items) < 0.12)  # variants that arrive after their family
    arrival = families.arrival[family] + np.where(late, rng.integers(7, 60, size=items), 0)
    variant = np.log(np.array(COLOR_POPULARITY))[color] * 0.3 + _VARIANT_SPREAD * rng.standard_normal(items)
    segment = families.segment[family]
    order = np.lexsort((price, segment))
    return SimulatedCatalogue(
        category=category,
        brands=brands,
        families=families,
        family=family,
        segment=segment,
        color=color,
        size=size,
        price=price,
        arrival=arrival,
        log_popularity=families.log_popularity[family] + variant,
        segment_start=np.searchsorted(segment, np.arange(segment_sizes(category).size + 1)),
        price_order=order,
        price_rank=np.argsort(order),
    )


def _make_families(category: Category, brands: Brands, items: int, rng: np.random.Generator) -> Families:
    behaviour = category.behaviour
    available = segment_sizes(category)
    segment = draw(segment_weights(category).ravel(), items, rng)  # at most one family an item; cut below
    colors = np.minimum(rng.geometric(1 / behaviour.colors, size=items), 10)
    sizes = np.minimum(rng.geometric(1 / behaviour.sizes, size=items), available[segment])
    count = int(np.searchsorted(np.cumsum(colors * sizes), items)) + 1
    order = np.argsort(segment[:count], kind="stable")
    segment, colors, sizes = segment[:count][order], colors[:count][order], sizes[:count][order]
    start = np.cumsum(colors * sizes) - colors * sizes

    kind = segment % len(category.types)
    brand = np.zeros(count, dtype=np.int64)
    for one in np.unique(kind):
        brand[kind == one] = draw(brands.types[:, one] * brands.popularity, int((kind == one).sum()), rng)
    tier = np.clip(brands.tier[brand] + 0.12 * rng.standard_normal(count), 0, 1)
    median = np.array([t.price for t in category.types])[kind]
    season = _season(category, kind, rng)
    own_style = rng.random(count) < 0.3
    return Families(
        segment=segment,
        brand=brand,
        style=np.where(own_style, rng.integers(len(category.styles), size=count), brands.style[brand]),
        season=season,
        occasion=_occasion(category, kind, rng),
        material=(rng.random(count) * np.array([len(t.materials) for t in category.types])[kind]).astype(np.int64),
        feature=_features(category, kind, rng),
        price=median * np.exp(1.3 * (tier - 0.5)),
        tier=tier,
        arrival=_arrival(category, season, rng),
        log_popularity=0.2 * np.log(brands.popularity[brand] * len(brands.names))
        + _FAMILY_SPREAD * rng.standard_normal(count),
        colors=colors,
        sizes=sizes,
        start=start,
    )


def _season(category: Category, kind: IntArray, rng: np.random.Generator) -> IntArray:
    """The season of the type for most families, another season for a few."""
    typical = np.array([SEASON_NAMES.index(t.season) for t in category.types])[kind]
    other = np.where(rng.random(len(kind)) < 0.5 * category.behaviour.season, rng.integers(1, 3, size=len(kind)), 0)
    return np.where(rng.random(len(kind)) < 0.12, other, typical).astype(np.int64)


def _occasion(category: Category, kind: IntArray, rng: np.random.Generator) -> IntArray:
    table = np.zeros((len(category.types), len(OCCASION_NAMES)))
    for row, t in enumerate(category.types):
        table[row, [OCCASION_NAMES.index(name) for name in t.occasions]] = 1.0 * category.behaviour.occasion
        table[row, 0] = 1.5
    return draw_rows(table[kind], rng)


def _features(category: Category, kind: IntArray, rng: np.random.Generator) -> IntArray:
    """Two different features of each family's type, [families, 2]."""
    available = np.array([len(t.features) for t in category.types])[kind]
    first = (rng.random(len(kind)) * available).astype(np.int64)
    step = 1 + (rng.random(len(kind)) * (available - 1)).astype(np.int64)
    return np.stack([first, (first + step) % available], axis=1)


def _arrival(category: Category, season: IntArray, rng: np.random.Generator) -> IntArray:
    """Day of arrival: within the year for `new_share` of the families, by season; before it for the others."""
    behaviour = category.behaviour
    within = draw_rows(season_arrivals(behaviour.season)[season], rng)
    before = -np.ceil(rng.exponential(_OLD_STOCK_DAYS * behaviour.fade_days / 80, size=len(season))).astype(np.int64)
    return np.where(rng.random(len(season)) < behaviour.new_share, within, before)


def _variants(
    category: Category, families: Families, family: IntArray, place: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Color and size of each item; the variants of a family are ordered by color, then by size."""
    palette = np.log(np.array(COLOR_POPULARITY)) + rng.gumbel(size=(len(families.brand), len(COLOR_POPULARITY)))
    ranked = np.argsort(-palette, axis=1)  # a draw without replacement, by popularity
    sizes = families.sizes[family]
    color = ranked[family, place // sizes]
    available = segment_sizes(category)[families.segment]
    spare = available - families.sizes
    first = np.round(spare * rng.beta(3, 3, size=len(spare))).astype(np.int64)  # middle sizes are common
    return color, first[family] + place % sizes
