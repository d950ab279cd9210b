"""One session of many users at once: clicks on a page of results, comparison of variants, purchase (C2)."""

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.customers.intents import Intent
from recbole_llmfashion.dataset_tools.simulate.customers.users import Users
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray, gumbel_argmax
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue
from recbole_llmfashion.dataset_tools.simulate.shop.search import RESULTS

MAX_CLICKS = 24
_ROUND_CLICKS = 10
_POSITION = 1.0  # the probability of examination is proportional to position^-1
_LOOK_NOISE, _BUY_NOISE = 0.7, 0.5
_SIBLINGS = 4
_SIZE_FIT, _FIX_SIZE = 2.0, 0.85
_TYPICAL_FIT = 2.0
FloatArray = NDArray[np.float64]


class ShoppingSession:
    """A batch of n sessions.

    Args:
        catalogue: of the shop.
        users: all users.
        intent: of the sessions.
        day: [n] day of each session.

    Attributes:
        clicks: [n, 24] clicked items in order, -1 behind the last.
        count: [n] number of clicks.
    """

    def __init__(self, catalogue: SimulatedCatalogue, users: Users, intent: Intent, day: IntArray) -> None:
        self.catalogue, self.users, self.intent, self.day = catalogue, users, intent, day
        self.clicks = np.full((len(day), MAX_CLICKS), -1, dtype=np.int64)
        self.count = np.zeros(len(day), dtype=np.int64)

    def fit(self, rows: IntArray, items: IntArray) -> FloatArray:
        """[n, m] fit of items [n, m] to the users of sessions `rows` [n], without size; -inf where the item is -1."""
        catalogue, families, users = self.catalogue, self.catalogue.families, self.users
        intent = self.intent.take(rows)
        family = catalogue.family[items]
        color, brand = catalogue.color[items], families.brand[family]
        own = np.where(intent.gift, 0.3, 1.0)[:, None]
        liked = own * 1.2 * np.take_along_axis(users.colors[intent.user], color, axis=1)
        wanted = intent.color[:, None]
        score = np.where(wanted >= 0, 1.5 * (color == wanted), liked)
        favourite = (brand[:, :, None] == users.brands[intent.user][:, None, :]).any(axis=2)
        score = score + own * 1.2 * favourite + 1.5 * (brand == intent.brand[:, None])
        score = score - 2.2 * np.abs(families.tier[family] - users.tier[intent.user][:, None])
        score = score + own * 0.8 * (families.style[family] == users.style[intent.user][:, None])
        occasion = intent.occasion[:, None]
        score = score + 0.9 * ((families.occasion[family] == occasion) & (occasion > 0))
        score = score + 0.7 * (families.feature[family] == intent.feature[:, None, None]).any(axis=2)
        return np.where(items >= 0, score, -np.inf)

    def look(self, rows: IntArray, shown: IntArray, rng: np.random.Generator) -> None:
        """Click on results, and from there on variants in another color or size and on items of similar price.

        Args:
            rows: [n] sessions.
            shown: [n, 8] their pages of results.
            rng: random generator.
        """
        behaviour = self.catalogue.category.behaviour
        planned = np.minimum(rng.geometric(1 / behaviour.clicks, size=len(rows)), _ROUND_CLICKS)
        attraction = self.fit(rows, shown) - _POSITION * np.log(np.arange(1, RESULTS + 1))
        for step in range(_ROUND_CLICKS):
            going = np.flatnonzero((planned > step) & (self.count[rows] < MAX_CLICKS - 1))
            if len(going) == 0:
                break
            target = np.full(len(going), -1)
            if step > 0:
                target = self._compare(rows[going], rng)
            stay = np.flatnonzero(target < 0)
            target[stay] = self._next_result(rows[going[stay]], shown[going[stay]], attraction[going[stay]], rng)
            self._click(rows[going], target)

    def buy(self, rng: np.random.Generator) -> IntArray:
        """The item that each session buys, -1 for none, [n]: a clicked item, or its variant in the right size.

        A click on that variant is added if it was not clicked.
        """
        rows = np.arange(len(self.day))
        fit = self.fit(rows, self.clicks)
        score = fit + _SIZE_FIT * (self.catalogue.size[self.clicks] == self.intent.size[:, None])
        best = gumbel_argmax(np.where(self.clicks >= 0, score, -np.inf), _BUY_NOISE, rng)
        pleased = np.where(best >= 0, score[rows, best], 0.0)
        odds = self.catalogue.category.behaviour.buy + 0.7 * (pleased - _TYPICAL_FIT)
        bought = (best >= 0) & (rng.random(len(rows)) < 1 / (1 + np.exp(-odds)))
        item = np.where(bought, self.clicks[rows, best], -1)
        right = self._right_size(rows, item)
        item = np.where((right >= 0) & (rng.random(len(rows)) < _FIX_SIZE), right, item)
        unseen = np.flatnonzero((item >= 0) & ~(self.clicks == item[:, None]).any(axis=1))
        self._click(unseen, item[unseen])
        return item

    def _click(self, rows: IntArray, item: IntArray) -> None:
        real = item >= 0
        rows, item = rows[real], item[real]
        self.clicks[rows, self.count[rows]] = item
        self.count[rows] += 1

    def _next_result(
        self, rows: IntArray, shown: IntArray, attraction: FloatArray, rng: np.random.Generator
    ) -> IntArray:
        seen = (shown[:, :, None] == self.clicks[rows][:, None, :]).any(axis=2)
        place = gumbel_argmax(np.where(seen, -np.inf, attraction), _LOOK_NOISE, rng)
        return np.where(place >= 0, shown[np.arange(len(rows)), place], -1)

    def _compare(self, rows: IntArray, rng: np.random.Generator) -> IntArray:
        """The next item that shares an attribute with the last clicked one, -1 to return to the results."""
        mode = rng.random(len(rows)) / self.catalogue.category.behaviour.walk
        last = self.clicks[rows, np.maximum(self.count[rows] - 1, 0)]
        last = np.where(self.count[rows] > 0, last, -1)
        target = np.full(len(rows), -1)
        for low, high, step in ((0, 0.5, self._sibling), (0.5, 0.72, None), (0.72, 1.0, self._price_neighbour)):
            some = np.flatnonzero((mode >= low) & (mode < high) & (last >= 0))
            moved = self._right_size(rows[some], last[some]) if step is None else step(rows[some], last[some], rng)
            target[some] = moved
        seen = (self.clicks[rows] == target[:, None]).any(axis=1)
        return np.where(seen, -1, target)

    def _sibling(self, rows: IntArray, last: IntArray, rng: np.random.Generator) -> IntArray:
        """A variant of the same family in another color that was not clicked yet, -1 for none."""
        catalogue, families = self.catalogue, self.catalogue.families
        family = catalogue.family[last]
        start = families.start[family]
        end = np.minimum(start + families.colors[family] * families.sizes[family], catalogue.items)
        pick = start[:, None] + (rng.random((len(rows), _SIBLINGS)) * (end - start)[:, None]).astype(np.int64)
        other = catalogue.color[pick] != catalogue.color[last][:, None]
        usable = other & self._on_sale(rows, pick) & ~(pick[:, :, None] == self.clicks[rows][:, None, :]).any(axis=2)
        fit = self.fit(rows, pick) + 0.5 * (catalogue.size[pick] == self.intent.size[rows][:, None])
        place = gumbel_argmax(np.where(usable, fit, -np.inf), _LOOK_NOISE, rng)
        return np.where(place >= 0, pick[np.arange(len(rows)), place], -1)

    def _right_size(self, rows: IntArray, item: IntArray) -> IntArray:
        """The variant of the same family and color in the wanted size, -1 if there is none or it is `item`."""
        catalogue, families = self.catalogue, self.catalogue.families
        step = self.intent.size[rows] - catalogue.size[item]
        place = item - families.start[catalogue.family[item]]
        sizes = families.sizes[catalogue.family[item]]
        inside = (place % sizes + step >= 0) & (place % sizes + step < sizes) & (step != 0) & (item >= 0)
        variant = np.where(inside & (item + step < catalogue.items), item + step, -1)
        return np.where(self._on_sale(rows, variant[:, None])[:, 0], variant, -1)

    def _price_neighbour(self, rows: IntArray, last: IntArray, rng: np.random.Generator) -> IntArray:
        """An item of the same segment and a similar price, of any brand."""
        catalogue = self.catalogue
        step = rng.integers(1, 7, size=len(rows)) * rng.choice([-1, 1], size=len(rows))
        place = np.clip(catalogue.price_rank[last] + step, 0, catalogue.items - 1)
        item = catalogue.price_order[place]
        usable = (catalogue.segment[item] == catalogue.segment[last]) & self._on_sale(rows, item[:, None])[:, 0]
        return np.where(usable, item, -1)

    def _on_sale(self, rows: IntArray, items: IntArray) -> NDArray[np.bool_]:
        return (items >= 0) & (self.catalogue.arrival[items] <= self.day[rows][:, None])
