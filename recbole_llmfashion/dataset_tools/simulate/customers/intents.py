"""The intent of a session: audience, type, color, occasion, feature and brand (C3)."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.customers.seasons import (
    OCCASION_NAMES,
    PERIOD_DAYS,
    SEASON_NAMES,
    gift_chance,
    month_of_day,
    occasion_demand,
    season_demand,
)
from recbole_llmfashion.dataset_tools.simulate.customers.users import Users, other_audience
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray, draw_rows
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import segment_weights
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category

_FOR_OTHERS = 0.12
_WANT_FEATURE, _WANT_BRAND = 0.4, 0.3


@dataclass
class Intent:
    """Intents of n sessions.

    Args:
        user: [n] index of the user.
        segment: [n] audience * number of types + type.
        color, feature, brand: [n] wanted values, -1 for any.
        occasion: [n] wanted occasion, 0 for any.
        size: [n] index of the wanted size.
        gift: [n] bool, whether the item is for a person of another taste.
    """

    user: IntArray
    segment: IntArray
    color: IntArray
    occasion: IntArray
    feature: IntArray
    brand: IntArray
    size: IntArray
    gift: NDArray[np.bool_]

    def take(self, rows: IntArray) -> "Intent":
        """The intents of the given sessions."""
        return Intent(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def put(self, rows: IntArray, other: "Intent") -> None:
        """Replace the intents of the given sessions."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(other, f.name)


def blank_intent(users: int) -> Intent:
    """One empty intent per user."""
    columns = {f.name: np.zeros(users, dtype=np.int64) for f in fields(Intent)}
    return Intent(**columns | {"user": np.arange(users), "gift": np.zeros(users, dtype=bool)})


class IntentSource:
    """Draws intents of users on given days.

    Args:
        category: of the shop.
        open_segments: [segments, periods] bool, whether the shop has items of a segment in a period; other segments are
            not drawn.
    """

    def __init__(self, category: Category, open_segments: NDArray[np.bool_]) -> None:
        behaviour = category.behaviour
        self.category = category
        self._open = open_segments
        self._weights = segment_weights(category)
        self._type_season = np.array([SEASON_NAMES.index(t.season) for t in category.types])
        self._season = season_demand(behaviour.season)
        self._occasion = occasion_demand(behaviour.occasion)
        self._gift = gift_chance(behaviour.season)
        self._month = month_of_day()
        self._type_occasions = np.zeros((len(category.types), len(OCCASION_NAMES)))
        self._type_occasions[:, 0] = 1
        for row, kind in enumerate(category.types):
            self._type_occasions[row, [OCCASION_NAMES.index(name) for name in kind.occasions]] = 1
        self._features = np.array([len(t.features) for t in category.types])
        names = [t.name for t in category.types]
        self._companion = np.array([names.index(t.companion) if t.companion else -1 for t in category.types])

    def fresh(self, users: Users, user: IntArray, day: IntArray, rng: np.random.Generator) -> Intent:
        """A new intent of each user, drawn by season, occasion, holidays and the user's tastes."""
        gift = rng.random(len(user)) < self._gift[day]
        own = users.audience[user]
        others = other_audience(self.category, own, rng)
        audience = np.where(gift | (rng.random(len(user)) < _FOR_OTHERS), others, own)
        weight = self._weights[audience] * users.types[user] * self._season[self._type_season].T[self._month[day]]
        opened = self._open.reshape(*self._weights.shape, -1)[audience, :, day // PERIOD_DAYS]
        return self._detail(users, user, audience, draw_rows(weight * opened, rng), day, gift, rng)

    def companion(self, users: Users, last: Intent, day: IntArray, rng: np.random.Generator) -> Intent:
        """An intent for the type that goes with the last purchase; segment -1 if there is none."""
        audience, kind = np.divmod(last.segment, len(self.category.types))
        kind = self._companion[kind]
        made = (kind >= 0) & (self._weights[audience, kind] > 0)
        kind = np.where(made & self._open[audience * len(self.category.types) + kind, day // PERIOD_DAYS], kind, -1)
        return self._detail(users, last.user, audience, kind, day, last.gift, rng)

    def _detail(
        self,
        users: Users,
        user: IntArray,
        audience: IntArray,
        kind: IntArray,
        day: IntArray,
        gift: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> Intent:
        n = len(user)
        taste = users.colors[user] + 0.05
        color = draw_rows(np.where(gift[:, None], 0.3, taste**1.5), rng)
        occasion = draw_rows(self._type_occasions[kind] * self._occasion.T[self._month[day]], rng)
        feature = (rng.random(n) * self._features[kind]).astype(np.int64)
        brand = users.brands[user, draw_rows(np.tile([0.6, 0.25, 0.15], (n, 1)), rng)]
        segment = audience * len(self.category.types) + kind
        return Intent(
            user=user,
            segment=np.where(kind >= 0, segment, -1),
            color=np.where(rng.random(n) < self.category.behaviour.want_color, color, -1),
            occasion=occasion,
            feature=np.where(rng.random(n) < _WANT_FEATURE, feature, -1),
            brand=np.where((rng.random(n) < _WANT_BRAND) & ~gift, brand, -1),
            size=users.sizes[user, segment].astype(np.int64),
            gift=gift,
        )
