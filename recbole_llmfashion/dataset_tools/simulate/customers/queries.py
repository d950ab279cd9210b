"""Query texts: the same request in many wordings, with synonyms, missing words and typos (C4)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.customers.journeys import Log
from recbole_llmfashion.dataset_tools.simulate.customers.seasons import OCCASION_NAMES
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray
from recbole_llmfashion.dataset_tools.simulate.shop.brands import Brands
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import size_labels
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category
from recbole_llmfashion.dataset_tools.simulate.shop.search import BRAND_FACET, FEATURE_FACET
from recbole_llmfashion.dataset_tools.simulate.shop.words import (
    AUDIENCES,
    COLORS,
    GIFT_PHRASES,
    OCCASIONS,
    QUERY_FILLERS,
)

Words = NDArray[np.object_]
# slots: 0 audience, 1 color, 2 facet, 3 noun, 4 size, 5 gift phrase or filler
_PATTERNS = ((5, 0, 1, 2, 3, 4), (5, 1, 2, 3, 0, 4), (2, 1, 3, 0, 4, 5), (0, 2, 3, 1, 4, 5), (3, 0, 2, 1, 4, 5))
_PATTERN_SHARE = (0.36, 0.24, 0.16, 0.14, 0.1)
# probabilities that a query has such a word; that of a filler is multiplied by the category's detail
_SAY_AUDIENCE, _SAY_GIFT, _SAY_FILLER = 0.72, 0.4, 0.12


def make_queries(
    category: Category, brands: Brands, log: Log, searches: IntArray, rng: np.random.Generator
) -> list[str]:
    """One query per given search of the log, never empty."""
    log = _only(log, searches)
    n, behaviour = len(log.segment), category.behaviour
    slots = np.full((n, 6), "", dtype=object)
    audience, kind = np.divmod(log.segment, len(category.types))
    for index, (name, _) in enumerate(category.audiences):
        if len(category.audiences) > 1:
            rows = np.flatnonzero((audience == index) & (rng.random(n) < _SAY_AUDIENCE))
            slots[rows, 0] = _say(AUDIENCES[name][1], len(rows), behaviour.synonyms, rng)
    for index, names in enumerate(COLORS.values()):
        rows = np.flatnonzero(log.color == index)
        slots[rows, 1] = _say(tuple(name.lower() for name in names), len(rows), 0.6 * behaviour.synonyms, rng)
    for index, product in enumerate(category.types):
        rows = np.flatnonzero(kind == index)
        slots[rows, 3] = _say(tuple(noun.lower() for noun in product.nouns), len(rows), behaviour.synonyms, rng)
        _feature_words(slots, rows, log.facet[rows] - FEATURE_FACET, product.features)
    for index, name in enumerate(OCCASION_NAMES[1:], start=1):
        rows = np.flatnonzero(log.facet == index)
        slots[rows, 2] = _say(OCCASIONS[name][1], len(rows), behaviour.synonyms, rng)
    branded = np.flatnonzero(log.facet >= BRAND_FACET)
    slots[branded, 2] = [name.lower() for name in brands.names[log.facet[branded] - BRAND_FACET]]
    _size_words(slots, category, log)
    extra = np.where(log.gift, _SAY_GIFT, _SAY_FILLER * behaviour.detail)
    rows = np.flatnonzero(rng.random(n) < extra)
    phrases = _say(GIFT_PHRASES, len(rows), 1.0, rng), _say(QUERY_FILLERS, len(rows), 1.0, rng)
    slots[rows, 5] = np.where(log.gift[rows], *phrases)
    queries = _join(slots, rng)
    misspelt = np.flatnonzero(rng.random(n) < behaviour.typos)
    for row, chance in zip(misspelt.tolist(), rng.random((len(misspelt), 3)).tolist(), strict=True):
        queries[row] = misspell(queries[row], *chance)
    return queries


def _only(log: Log, searches: IntArray) -> Log:
    """The log with the given searches only."""
    columns = ("search_user", "search_time", "segment", "color", "facet", "size", "gift", "shown")
    return replace(log, **{name: getattr(log, name)[searches] for name in columns})


def misspell(text: str, where: float, place: float, how: float) -> str:
    """Swap, drop or double a letter of one word with at least five letters.

    Args:
        text: the query; without such a word it is returned unchanged.
        where, place, how: numbers in [0, 1) that choose the word, the letter and the kind of error.

    >>> misspell("red shoes", 0.0, 0.0, 0.4)
    'red soes'
    """
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) >= 5]
    if not long:
        return text
    index = long[int(where * len(long))]
    word = words[index]
    i = 1 + int(place * (len(word) - 2))
    ways = (word[:i] + word[i + 1] + word[i] + word[i + 2 :], word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:])
    words[index] = ways[int(how * 3)]
    return " ".join(words)


def _join(slots: Words, rng: np.random.Generator) -> list[str]:
    queries = np.empty(len(slots), dtype=object)
    pattern = rng.choice(len(_PATTERNS), size=len(slots), p=_PATTERN_SHARE)
    for number, order in enumerate(_PATTERNS):
        rows = np.flatnonzero(pattern == number)
        queries[rows] = [" ".join(filter(None, row)) for row in slots[rows][:, order].tolist()]
    return queries.tolist()


def _feature_words(slots: Words, rows: IntArray, feature: IntArray, features: tuple[str, ...]) -> None:
    has_feature = (feature >= 0) & (feature < len(features))
    table = np.array([text.lower() for text in features], dtype=object)
    slots[rows[has_feature], 2] = table[feature[has_feature]]


def _size_words(slots: Words, category: Category, log: Log) -> None:
    sized = np.flatnonzero(log.size >= 0)
    for segment in np.unique(log.segment[sized]):
        rows = sized[log.segment[sized] == segment]
        audience, kind = divmod(int(segment), len(category.types))
        labels = size_labels(category.types[kind].sizes, category.audiences[audience][0])
        plain = np.array([f"size {label}" if label.replace(".", "").isdigit() else label.lower() for label in labels])
        slots[rows, 4] = plain.astype(object)[log.size[rows]]


def _say(table: tuple[str, ...], count: int, synonyms: float, rng: np.random.Generator) -> Words:
    """[count] the first wording of a table, or with probability `synonyms` any of them."""
    any_wording = rng.integers(len(table), size=count)
    return np.array(table, dtype=object)[np.where(rng.random(count) < synonyms, any_wording, 0)]
