"""The newest actions of a user that fit into a prompt.

An action has three pieces: its verb, its item or query, and its date, which only the first of consecutive shown actions
with the same date has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.data.timeline import SEARCH, Events
from recbole_llmfashion.prompt.pieces.dates import DatePieces
from recbole_llmfashion.prompt.pieces.items import ItemPieces
from recbole_llmfashion.prompt.pieces.queries import QueryPieces


@dataclass(frozen=True)
class Actions:
    """The actions that a prompt shows, oldest first.

    Args:
        pieces: their token ids.
        items: catalogue positions of their items.
        id_positions: int64 positions of the ID tokens in the concatenated pieces, ascending.
        dropped: number of oldest events that did not fit.
        shortened: number of actions whose text is cut.
    """

    pieces: list[np.ndarray]
    items: list[int]
    id_positions: np.ndarray
    dropped: int
    shortened: int


class ActionPieces:
    """Events as actions of a prompt.

    Args:
        verbs: token ids of the verb by kind of event.
        items: see ItemPieces.
        queries: see QueryPieces.
        dates: None for prompts without dates.
    """

    def __init__(
        self, verbs: Sequence[np.ndarray], items: ItemPieces, queries: QueryPieces, dates: DatePieces | None
    ) -> None:
        self._verbs, self._items, self._queries, self._dates = verbs, items, queries, dates

    def newest(self, events: Events, room: int) -> Actions:
        """The newest actions that have at most `room` tokens."""
        actions: list[list[np.ndarray]] = []
        items: list[int] = []
        shown: np.ndarray | None = None
        for at in range(len(events) - 1, -1, -1):
            action, date = self._action(events, at), self._date(events, at)
            again = date is not None and date is shown
            room -= sum(map(len, action)) + (0 if date is None or again else len(date))
            if room < 0:
                break
            if again:
                actions[-1].pop()
            if date is not None:
                action.append(date)
            actions.append(action)
            items.append(-1 if events.kind[at] == SEARCH else int(events.ref[at]))
            shown = date
        actions.reverse()
        items.reverse()
        dropped = len(events) - len(actions)
        return Actions(
            [piece for action in actions for piece in action],
            [item for item in items if item >= 0],
            self._id_positions(actions, items),
            dropped,
            self._shortened(events, dropped),
        )

    def newest_length(self, events: Events) -> int:
        """The number of tokens of the newest action; 0 without events."""
        if not len(events):
            return 0
        date = self._date(events, len(events) - 1)
        return sum(map(len, self._action(events, -1))) + (0 if date is None else len(date))

    def _action(self, events: Events, at: int) -> list[np.ndarray]:
        """The pieces of an action without its date."""
        kind, ref = int(events.kind[at]), int(events.ref[at])
        return [self._verbs[kind], self._queries[ref] if kind == SEARCH else self._items.actions[ref]]

    def _date(self, events: Events, at: int) -> np.ndarray | None:
        """The date of an event, the same object for the same date; None without dates."""
        return None if self._dates is None else self._dates.action(float(events.time[at]))

    def _id_positions(self, actions: Sequence[Sequence[np.ndarray]], items: Sequence[int]) -> np.ndarray:
        """int64, the positions of the ID tokens in the actions' pieces; an item of -1 is a search."""
        positions: list[np.ndarray] = [np.zeros(0, np.int64)]
        start = 0
        mark = len(self._items.id_mark)
        for action, item in zip(actions, items, strict=True):
            if item >= 0:
                positions.append(start + len(action[0]) + mark + np.arange(len(self._items.ids[item])))
            start += sum(map(len, action))
        return np.concatenate(positions)

    def _shortened(self, events: Events, dropped: int) -> int:
        """How many of the events after the dropped ones have a text that is cut."""
        search, refs = events.kind[dropped:] == SEARCH, events.ref[dropped:]
        return self._queries.shortened_of(refs[search]) + int(self._items.shortened[refs[~search]].sum())
