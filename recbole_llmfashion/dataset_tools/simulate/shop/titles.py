"""Item titles of 7 to 14 words in an order that depends on the brand.

As in real shops titles follow no clean template: attributes are missing, repeated by synonyms, or appended at the end.
"""

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.customers.seasons import OCCASION_NAMES, SEASON_NAMES
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue
from recbole_llmfashion.dataset_tools.simulate.shop.products import ProductType
from recbole_llmfashion.dataset_tools.simulate.shop.words import (
    AUDIENCES,
    LINE_WORDS,
    OCCASIONS,
    SEASONS,
    TITLE_FILLERS,
)

Words = NDArray[np.object_]
MIN_WORDS, MAX_WORDS = 7, 14
# slots: 0 brand, 1 line, 2 audience, 3 style, 4 material, 5 feature, 6 noun, 7 second feature, 8 second noun,
# 9 occasion, 10 season, 11 filler, 12 second filler, 13 color, 14 size
_SHARE = (0.96, 0.45, 0.85, 0.3, 0.6, 0.8, 1.0, 0.4, 0.45, 0.8, 0.5, 0.3, 0.15, 0.7, 1.0)
_PRIORITY = (6, 0, 13, 9, 2, 5, 14, 4, 8, 10, 7, 3, 1, 11, 12)  # slots that are kept first if there are too many words
_PAD = (11, 12, 4, 8, 5, 7, 3, 1)  # slots that are added if there are fewer than seven words
_PATTERNS = (
    (0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14),
    (0, 2, 4, 6, 5, 7, 9, 8, 10, 3, 1, 11, 12, 14, 13),
    (0, 11, 5, 2, 6, 13, 4, 3, 9, 8, 7, 10, 1, 12, 14),
    (2, 6, 0, 5, 7, 11, 4, 12, 8, 10, 9, 3, 1, 13, 14),
    (0, 13, 6, 2, 1, 4, 5, 9, 7, 8, 3, 11, 10, 12, 14),
    (10, 9, 2, 3, 4, 6, 5, 0, 1, 8, 7, 12, 11, 14, 13),
)


def make_titles(catalogue: SimulatedCatalogue, color: Words, size: Words, rng: np.random.Generator) -> list[str]:
    """One title per item.

    Args:
        catalogue: the items.
        color, size: [items] their names.
        rng: random generator.
    """
    words = _family_words(catalogue, rng)
    used = rng.random(words.shape) < np.array(_SHARE)
    _drop_repeated(used, words)
    slots = words[catalogue.family]
    include = used[catalogue.family]
    slots[:, 13], slots[:, 14] = color, size
    brand = catalogue.families.brand[catalogue.family]
    include[:, 14] = catalogue.brands.says_size[brand] & (size != "One Size")
    include[:, 13] ^= rng.random(len(include)) < 0.05  # a few variants differ from their family
    include = _within_limits(slots, include)
    titles = np.empty(len(slots), dtype=object)
    pattern = catalogue.brands.pattern[brand]
    for number, order in enumerate(_PATTERNS):
        rows = np.flatnonzero(pattern == number)
        chosen = np.where(include[rows], slots[rows], "")[:, order]
        titles[rows] = [" ".join(filter(None, row)) for row in chosen.tolist()]
    return titles.tolist()


def _family_words(catalogue: SimulatedCatalogue, rng: np.random.Generator) -> Words:
    """[families, 15] words of each family's slots, "" for none."""
    families, category = catalogue.families, catalogue.category
    n = len(families.brand)
    words = np.full((n, 15), "", dtype=object)
    audience, kind = np.divmod(families.segment, len(category.types))
    words[:, 0] = catalogue.brands.names[families.brand]
    words[:, 1] = _pick(LINE_WORDS, n, rng)
    words[:, 3] = np.array(category.styles, dtype=object)[families.style]
    words[:, 11], words[:, 12] = _pick(TITLE_FILLERS, n, rng), _pick(TITLE_FILLERS, n, rng)
    for index, (name, _) in enumerate(category.audiences):
        rows = np.flatnonzero(audience == index)
        words[rows, 2] = _pick(AUDIENCES[name][0], len(rows), rng)
    for index, name in enumerate(OCCASION_NAMES[1:], start=1):
        rows = np.flatnonzero(families.occasion == index)
        words[rows, 9] = _pick(OCCASIONS[name][0], len(rows), rng)
    for index, name in enumerate(SEASON_NAMES):
        rows = np.flatnonzero(families.season == index)
        words[rows, 10] = _pick(SEASONS[name][0], len(rows), rng)
    for index, product in enumerate(category.types):
        rows = np.flatnonzero(kind == index)
        _type_words(words, rows, product, families.material[rows], families.feature[rows], rng)
    return words


def _type_words(
    words: Words, rows: IntArray, kind: ProductType, material: IntArray, feature: IntArray, rng: np.random.Generator
) -> None:
    nouns = np.array(kind.nouns, dtype=object)
    first = rng.integers(len(nouns), size=len(rows))
    step = rng.integers(1, len(nouns), size=len(rows)) if len(nouns) > 1 else 0
    words[rows, 6], words[rows, 8] = nouns[first], nouns[(first + step) % len(nouns)]
    words[rows, 4] = np.array(kind.materials, dtype=object)[material]
    features = np.array(kind.features, dtype=object)
    words[rows, 5], words[rows, 7] = features[feature[:, 0]], features[feature[:, 1]]


def _drop_repeated(used: NDArray[np.bool_], words: Words) -> None:
    """Drop words that repeat another slot, and empty slots, in place."""
    used[:, 8] &= words[:, 8] != words[:, 6]
    used[:, 12] &= words[:, 12] != words[:, 11]
    used[:, :13] &= words[:, :13] != ""  # color and size are set per item


def _within_limits(slots: Words, include: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop the least important words of more than 14 and add words to fewer than 7."""
    lengths = np.zeros(slots.shape, dtype=np.int64)
    for column in range(slots.shape[1]):
        unique, inverse = np.unique(slots[:, column].astype(str), return_inverse=True)
        lengths[:, column] = np.array([len(text.split()) for text in unique])[inverse]
    kept = np.zeros_like(include)
    total = np.zeros(len(slots), dtype=np.int64)
    for column in _PRIORITY:
        kept[:, column] = include[:, column] & (total + lengths[:, column] <= MAX_WORDS)
        total += lengths[:, column] * kept[:, column]
    for column in _PAD:
        added = (total < MIN_WORDS) & ~kept[:, column]
        kept[:, column] |= added
        total += lengths[:, column] * added
    return kept


def _pick(table: tuple[str, ...], count: int, rng: np.random.Generator) -> Words:
    return np.array(table, dtype=object)[rng.integers(len(table), size=count)]
