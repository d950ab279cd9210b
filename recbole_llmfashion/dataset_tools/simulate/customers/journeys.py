"""Simulates a year of many users at once: a series of sessions, each with searches, clicks and possibly a purchase."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.customers.intents import (
    Intent,
    IntentSource,
    blank_intent,
)
from recbole_llmfashion.dataset_tools.simulate.customers.seasons import (
    DAY_SECONDS,
    DAYS,
    PERIOD_DAYS,
    traffic,
)
from recbole_llmfashion.dataset_tools.simulate.customers.session import ShoppingSession
from recbole_llmfashion.dataset_tools.simulate.customers.users import Users
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray, draw
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import segment_sizes
from recbole_llmfashion.dataset_tools.simulate.shop.search import BRAND_FACET, FEATURE_FACET, Shop

MAX_SESSIONS = 24
_ATTEMPTS = 3  # largest number of searches per session
_BROWSE = 0.2  # share of sessions that begin on the page of a category or a brand, without a search
_SILENT_SIZE_FILTER = 0.4
_CONTINUE, _REORDER, _COMPANION, _FRESH = range(4)
_MEAN_DAYS = np.array([1.5, 20.0, 5.0, 35.0])  # mean days until the next session, by its kind
_CONTINUE_SHARE = 0.5
_REORDER_SHARE, _COMPANION_SHARE = 0.04, 0.3  # cumulative
_SHORTEST_BREAK = 3600
_LOYALTY = 0.6  # probability that the brand of a purchase becomes a favourite
_HOURS = np.array([1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 7, 6, 6, 6, 6, 7, 8, 10, 12, 11, 7, 3], dtype=float)


@dataclass(frozen=True)
class Log:
    """Searches and item actions in no particular order; times are whole seconds since the start of the year.

    Args:
        search_user, search_time: [s] user and time of each search.
        segment: [s] audience * number of types + type.
        color, size: [s] color and size in the query, -1 for none.
        facet: [s] facet in the query, see shop/search.py.
        gift: [s] bool, whether a gift is searched.
        shown: [s, 8] items of the first page, -1 for none.
        action_user, action_time: [a] user and time of each item action.
        item: [a] item.
        purchase: [a] bool, True for purchases, False for clicks.
    """

    search_user: IntArray
    search_time: IntArray
    segment: IntArray
    color: IntArray
    facet: IntArray
    size: IntArray
    gift: NDArray[np.bool_]
    shown: IntArray
    action_user: IntArray
    action_time: IntArray
    item: IntArray
    purchase: NDArray[np.bool_]


@dataclass(frozen=True)
class JourneyRequest:
    """What a query contains beside its segment.

    Args:
        color, size: [n] index, -1 for none.
        facet: [n], 0 for none.
    """

    color: IntArray
    facet: IntArray
    size: IntArray


class Journeys:
    """Simulates the sessions of a batch of users in a shop."""

    def __init__(self, shop: Shop, users: Users, rng: np.random.Generator) -> None:
        self.shop, self.users, self.rng = shop, users, rng
        self.source = IntentSource(shop.catalogue.category, shop.open_segments)
        self._sized = segment_sizes(shop.catalogue.category) > 1
        self._searches: list[tuple[NDArray, ...]] = []
        self._actions: list[tuple[NDArray, ...]] = []

    def run(self, mean_sessions: float) -> Log:
        """Simulate all sessions.

        Args:
            mean_sessions: mean number of sessions per user, >= 1; a user has 1 + a gamma-mixed Poisson number.
        """
        n, rng = len(self.users.audience), self.rng
        planned = 1 + rng.poisson((mean_sessions - 1) * rng.gamma(2.0, 0.5, size=n))
        time = draw(traffic(), n, rng) * DAY_SECONDS + self._time_of_day(n)
        intent, bought = blank_intent(n), np.full(n, -1)
        for session in range(min(MAX_SESSIONS, int(planned.max(initial=0)))):
            user = np.flatnonzero((planned > session) & (time < DAYS * DAY_SECONDS))
            kind = np.full(len(user), _FRESH)
            if session > 0:
                kind = self._next_kind(bought[user])
                time[user] = self._next_visit(time[user], kind)
            inside = time[user] < DAYS * DAY_SECONDS
            user, kind = user[inside], kind[inside]
            reordering = user[kind == _REORDER]
            self._note_actions(reordering, time[reordering], bought[reordering], True)
            self._renew(intent, user, kind, time[user] // DAY_SECONDS)
            shopping = user[(kind != _REORDER) & (intent.segment[user] >= 0)]
            bought[shopping], time[shopping] = self._session(intent.take(shopping), time[shopping])
            self._grow_loyal(shopping, bought[shopping])
        return self._log()

    def _grow_loyal(self, user: IntArray, bought: IntArray) -> None:
        """Let the brand of a purchase replace the user's second favourite with a certain probability, in place."""
        loyal = (bought >= 0) & (self.rng.random(len(user)) < _LOYALTY)
        catalogue = self.shop.catalogue
        self.users.brands[user[loyal], 1] = catalogue.families.brand[catalogue.family[bought[loyal]]]

    def _next_kind(self, bought: IntArray) -> IntArray:
        """Kind of the next session: continue or a new intent; after a purchase also a reorder or a companion item."""
        chance = self.rng.random(len(bought))
        after = np.where(chance < _REORDER_SHARE, _REORDER, np.where(chance < _COMPANION_SHARE, _COMPANION, _FRESH))
        return np.where(bought >= 0, after, np.where(chance < _CONTINUE_SHARE, _CONTINUE, _FRESH))

    def _next_visit(self, time: IntArray, kind: IntArray) -> IntArray:
        days = self.rng.exponential(_MEAN_DAYS[kind])
        day = (time + (days * DAY_SECONDS).astype(np.int64)) // DAY_SECONDS
        return np.maximum(day * DAY_SECONDS + self._time_of_day(len(time)), time + _SHORTEST_BREAK)

    def _time_of_day(self, count: int) -> IntArray:
        return draw(_HOURS, count, self.rng) * 3600 + self.rng.integers(3600, size=count)

    def _renew(self, intent: Intent, user: IntArray, kind: IntArray, day: IntArray) -> None:
        """Replace the intents, in place, except those of users who continue or reorder."""
        companion = np.flatnonzero(kind == _COMPANION)
        companions = self.source.companion(self.users, intent.take(user[companion]), day[companion], self.rng)
        exists = companions.segment >= 0
        intent.put(user[companion[exists]], companions.take(np.flatnonzero(exists)))
        fresh = np.concatenate([companion[~exists], np.flatnonzero(kind == _FRESH)])
        intent.put(user[fresh], self.source.fresh(self.users, user[fresh], day[fresh], self.rng))

    def _session(self, intent: Intent, start: IntArray) -> tuple[IntArray, IntArray]:
        """Simulate one session per intent; returns the purchased item (-1 for none) and the time of the end."""
        n, rng = len(start), self.rng
        walk = ShoppingSession(self.shop.catalogue, self.users, intent, np.minimum(start // DAY_SECONDS, DAYS - 1))
        now = start.copy()
        rows = np.arange(n)
        for attempt in range(_ATTEMPTS):
            part = intent.take(rows)
            request = self._request(part, attempt)
            browse = (rng.random(len(rows)) < _BROWSE) if attempt == 0 else np.zeros(len(rows), dtype=bool)
            favourite = BRAND_FACET + self.users.brands[part.user, 0]
            facet = np.where(browse, np.where(rng.random(len(rows)) < 0.5, favourite, 0), request.facet)
            color = np.where(browse, -1, request.color)
            filtered = (request.size >= 0) | (rng.random(len(rows)) < _SILENT_SIZE_FILTER)
            shown = self.shop.page(
                part.segment, color, facet, walk.day[rows] // PERIOD_DAYS, np.where(filtered, part.size, -1), rng
            )
            now[rows] += rng.integers(5, 60, size=len(rows))
            searched = np.flatnonzero(~browse)
            self._note_searches(part.take(searched), now[rows[searched]], request, searched, shown)
            seen = walk.count[rows]
            walk.look(rows, shown, rng)
            now[rows] = self._note_clicks(walk, rows, seen, now[rows])
            rows = rows[rng.random(len(rows)) < self.shop.catalogue.category.behaviour.refine]
        everyone, seen = np.arange(n), walk.count.copy()
        bought = walk.buy(rng)
        now = self._note_clicks(walk, everyone, seen, now) + rng.integers(30, 400, size=n)
        buying = np.flatnonzero(bought >= 0)
        self._note_actions(intent.user[buying], now[buying], bought[buying], True)
        return bought, now

    def _request(self, intent: Intent, attempt: int) -> JourneyRequest:
        """The parts of an intent that the query contains; later attempts contain more."""
        n, rng = len(intent.user), self.rng
        detail = self.shop.catalogue.category.behaviour.detail + 0.25 * attempt
        facet = np.where((intent.feature >= 0) & (rng.random(n) < 0.7 * detail), FEATURE_FACET + intent.feature, 0)
        facet = np.where((intent.brand >= 0) & (rng.random(n) < detail), BRAND_FACET + intent.brand, facet)
        facet = np.where((intent.occasion > 0) & (rng.random(n) < detail), intent.occasion, facet)
        return JourneyRequest(
            color=np.where((intent.color >= 0) & (rng.random(n) < detail), intent.color, -1),
            facet=facet,
            size=np.where(self._sized[intent.segment] & (rng.random(n) < 0.4 * detail), intent.size, -1),
        )

    def _note_searches(
        self, intent: Intent, time: IntArray, request: JourneyRequest, rows: IntArray, shown: IntArray
    ) -> None:
        words = (request.color[rows], request.facet[rows], request.size[rows])
        self._searches.append((intent.user, time, intent.segment, *words, intent.gift, shown[rows]))

    def _note_clicks(self, walk: ShoppingSession, rows: IntArray, seen: IntArray, now: IntArray) -> IntArray:
        """Log the clicks after the first `seen` ones, 8 to 120 s apart; returns the time of the last."""
        place = np.arange(walk.clicks.shape[1])
        new = (place >= seen[:, None]) & (place < walk.count[rows][:, None])
        pause = self.rng.integers(8, 120, size=new.shape)
        times = now[:, None] + np.cumsum(np.where(new, pause, 0), axis=1)
        user = np.broadcast_to(walk.intent.user[rows][:, None], new.shape)
        self._note_actions(user[new], times[new], walk.clicks[rows][new], False)
        return times[:, -1]

    def _note_actions(self, user: IntArray, time: IntArray, item: IntArray, purchase: bool) -> None:
        self._actions.append((user, time, item, np.full(len(user), purchase)))

    def _log(self) -> Log:
        columns = [np.concatenate(column) for column in zip(*self._searches, strict=True)]
        columns += [np.concatenate(column) for column in zip(*self._actions, strict=True)]
        return Log(*columns)
