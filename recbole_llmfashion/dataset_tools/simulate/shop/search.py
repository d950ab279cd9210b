"""The shop's search: items on sale in a period, ranked by text match and popularity with noise.

A ranking is computed once per request and period and cached.
"""

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.customers.seasons import (
    DAYS,
    OCCASION_NAMES,
    PERIOD_DAYS,
    PERIODS,
    month_of_day,
    season_demand,
)
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue
from recbole_llmfashion.dataset_tools.simulate.shop.words import COLORS

RESULTS = 8
POOL = 40
_SHORTLIST = 160
_SHELF_LIFE = 4.0  # age at which an item leaves the shop, in units of fade_days
_COLOR, _OCCASION, _FEATURE, _BRAND = 2.2, 1.6, 1.4, 3.0  # score of a matching word, in units of log-popularity
_CROWDING = 0.7  # penalty per better item of the same family
_RANK_NOISE, _PAGE_NOISE, _SIZE_FILTER = 0.35, 0.25, 2.5

# a facet is the part of a request beside type, audience and color: 0 for none, an occasion, a feature or a brand
FEATURE_FACET = len(OCCASION_NAMES)
BRAND_FACET = FEATURE_FACET + 8


class Shop:
    """Search over a catalogue.

    Args:
        catalogue: of the shop.
        rng: random generator of the rankings.

    Attributes:
        open_segments: [segments, periods] bool, whether a segment has items on sale in a period.
    """

    def __init__(self, catalogue: SimulatedCatalogue, rng: np.random.Generator) -> None:
        self.catalogue = catalogue
        self._rng = rng
        self._demand = np.log(season_demand(catalogue.category.behaviour.season))
        self._month = month_of_day()
        self._facets = BRAND_FACET + len(catalogue.brands.names)
        self._rows: dict[int, int] = {}
        self._items = np.full((1024, POOL), -1, dtype=np.int32)
        self._scores = np.full((1024, POOL), -np.inf, dtype=np.float32)
        self._shelves: dict[tuple[int, int], tuple[IntArray, NDArray[np.float64]]] = {}
        self.open_segments = self._open_segments()

    def page(
        self,
        segment: IntArray,
        color: IntArray,
        facet: IntArray,
        period: IntArray,
        size: IntArray,
        rng: np.random.Generator,
    ) -> IntArray:
        """The first page of results of each request.

        Args:
            segment, facet, period: [n] of the request.
            color: [n] of the request, -1 for none.
            size: [n] index of the size to filter by, -1 for none.
            rng: random generator of the page.

        Returns:
            [n, 8] items, best first, -1 behind the last.
        """
        rows = self._pool_rows(segment, color, facet, period)
        items, scores = self._items[rows], self._scores[rows]
        fits = (size[:, None] >= 0) & (self.catalogue.size[items] == size[:, None])
        scores = scores + _SIZE_FILTER * fits + _PAGE_NOISE * rng.gumbel(size=scores.shape)
        order = np.argsort(-scores, axis=1)[:, :RESULTS]
        return np.take_along_axis(items, order, axis=1).astype(np.int64)

    def _pool_rows(self, segment: IntArray, color: IntArray, facet: IntArray, period: IntArray) -> IntArray:
        keys = ((segment * (len(COLORS) + 1) + color + 1) * self._facets + facet) * PERIODS + period
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        rows = np.zeros(len(unique), dtype=np.int64)
        for place, key in enumerate(unique.tolist()):
            row = self._rows.get(key)
            if row is None:
                i = first[place]
                row = self._rank(key, int(segment[i]), int(color[i]), int(facet[i]), int(period[i]))
            rows[place] = row
        return rows[inverse]

    def _rank(self, key: int, segment: int, color: int, facet: int, period: int) -> int:
        row = len(self._rows)
        self._rows[key] = row
        if row == len(self._items):
            self._items = np.concatenate([self._items, np.full_like(self._items, -1)])
            self._scores = np.concatenate([self._scores, np.full_like(self._scores, -np.inf)])
        items, base = self._shelf(segment, period)
        score = base + self._match(items, color, facet)
        if len(items) > _SHORTLIST:
            short = np.argpartition(-score, _SHORTLIST)[:_SHORTLIST]
            items, score = items[short], score[short]
        score = score + _RANK_NOISE * self._rng.gumbel(size=len(score))
        score = score - _CROWDING * _occurrence(self.catalogue.family[items], score)
        order = np.argsort(-score)[:POOL]
        self._items[row, : len(order)] = items[order]
        self._scores[row, : len(order)] = score[order]
        return row

    def _match(self, items: IntArray, color: int, facet: int) -> NDArray[np.float64]:
        catalogue, families = self.catalogue, self.catalogue.families
        family = catalogue.family[items]
        match = _COLOR * (catalogue.color[items] == color)
        if facet >= BRAND_FACET:
            match = match + _BRAND * (families.brand[family] == facet - BRAND_FACET)
        elif facet >= FEATURE_FACET:
            match = match + _FEATURE * (families.feature[family] == facet - FEATURE_FACET).any(axis=1)
        elif facet > 0:
            match = match + _OCCASION * (families.occasion[family] == facet)
        return match

    def _shelf(self, segment: int, period: int) -> tuple[IntArray, NDArray[np.float64]]:
        """Items of a segment on sale in a period, and their attractiveness by popularity, age and season."""
        cached = self._shelves.get((segment, period))
        if cached is not None:
            return cached
        catalogue, fade = self.catalogue, self.catalogue.category.behaviour.fade_days
        items = np.arange(catalogue.segment_start[segment], catalogue.segment_start[segment + 1])
        age = period * PERIOD_DAYS - catalogue.arrival[items]
        items, age = (a[(age >= 0) & (age < _SHELF_LIFE * fade)] for a in (items, age))
        month = self._month[min(period * PERIOD_DAYS + PERIOD_DAYS // 2, DAYS - 1)]
        season = self._demand[catalogue.families.season[catalogue.family[items]], month]
        shelf = (items, catalogue.log_popularity[items] - age / fade + season)
        self._shelves[segment, period] = shelf
        return shelf

    def _open_segments(self) -> NDArray[np.bool_]:
        """[segments, periods] bool, whether a segment has items on sale in a period."""
        catalogue, fade = self.catalogue, self.catalogue.category.behaviour.fade_days
        segments = len(catalogue.segment_start) - 1
        opened = np.zeros((segments, PERIODS), dtype=bool)
        for period in range(PERIODS):
            age = period * PERIOD_DAYS - catalogue.arrival
            on_sale = (age >= 0) & (age < _SHELF_LIFE * fade)
            opened[:, period] = np.bincount(catalogue.segment[on_sale], minlength=segments) > 0
        return opened


def _occurrence(family: IntArray, score: NDArray[np.float64]) -> IntArray:
    """[n] number of items of the same family with a higher score."""
    order = np.lexsort((-score, family))
    grouped = family[order]
    start = np.maximum.accumulate(np.where(np.r_[True, grouped[1:] != grouped[:-1]], np.arange(len(family)), 0))
    rank = np.empty(len(family), dtype=np.int64)
    rank[order] = np.arange(len(family)) - start
    return rank
