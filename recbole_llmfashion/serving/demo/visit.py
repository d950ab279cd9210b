"""A visit: the actions of one customer on the page, and the products currently shown.

Visits are immutable; each function returns a new one. Times always increase, even if the clock does not, so the order
by time is the order of the actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.prompt.texts import TEXT_LIMIT, sanitize

MAX_ACTIONS = 100  # more than fit into a prompt
Kind = Literal["click", "purchase", "search"]


@dataclass(frozen=True)
class Action:
    """One action of the customer.

    Args:
        kind: click, purchase or search.
        time: seconds since 1970.
        item: catalogue position, -1 for a search.
        query: sanitized text of a search, otherwise empty.
    """

    kind: Kind
    time: float
    item: int = -1
    query: str = ""


@dataclass(frozen=True)
class Visit:
    """The state of a visit.

    Args:
        actions: actions, oldest first.
        shown: catalogue positions of the displayed products.
        heading: query that the products are results of; empty for popular products.
    """

    actions: tuple[Action, ...] = ()
    shown: tuple[int, ...] = ()
    heading: str = ""

    @property
    def full(self) -> bool:
        """Whether no more actions are accepted."""
        return len(self.actions) >= MAX_ACTIONS

    @property
    def last_item(self) -> int:
        """Position of the last clicked or purchased product, -1 for none."""
        return next((action.item for action in reversed(self.actions) if action.item >= 0), -1)

    def as_session(self, catalogue: Catalogue) -> list[dict[str, Any]]:
        """The actions in the form that `Recommender.recommend` takes."""
        return [_as_mapping(action, catalogue) for action in self.actions]


def _as_mapping(action: Action, catalogue: Catalogue) -> dict[str, Any]:
    value = {"query": action.query} if action.kind == "search" else {"item_id": catalogue.item_ids[action.item]}
    return {"action": action.kind, "timestamp": action.time, **value}


def searched(visit: Visit, text: str, now: float) -> Visit:
    """Adds a search; returns the same visit if the sanitized text is empty or the visit is full."""
    query = sanitize(text[: 4 * TEXT_LIMIT])
    return _with(visit, Action("search", now, query=query)) if query else visit


def clicked(visit: Visit, item: int, now: float) -> Visit:
    """Adds a click on a product (catalogue position); returns the same visit if it is full."""
    return _with(visit, Action("click", now, item))


def bought(visit: Visit, now: float) -> Visit:
    """Adds a purchase of the last product; returns the same visit if there is none or the visit is full."""
    return visit if visit.last_item < 0 else _with(visit, Action("purchase", now, visit.last_item))


def undone(visit: Visit) -> Visit:
    """Removes the last action."""
    return replace(visit, actions=visit.actions[:-1])


def showing(visit: Visit, items: Sequence[int], heading: str) -> Visit:
    """Replaces the displayed products."""
    return replace(visit, shown=tuple(items), heading=heading)


def _with(visit: Visit, action: Action) -> Visit:
    if visit.full:
        return visit
    last = visit.actions[-1].time if visit.actions else 0.0
    return replace(visit, actions=(*visit.actions, replace(action, time=max(action.time, last + 1))))
