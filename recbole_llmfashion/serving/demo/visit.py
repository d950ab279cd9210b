"""A visit: what one customer did on the page so far, and the products that stand before them. Pure: nothing is asked.

A visit never changes; each function makes another one. Times do not decrease, whatever the clock says, so that the
order of the actions is the order in which they were done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.prompt.texts import TEXT_LIMIT, sanitize

MOST = 100  # actions of a visit: more than any prompt holds
Kind = Literal["click", "purchase", "search"]


@dataclass(frozen=True)
class Action:
    """One thing that the customer did.

    Args:
        kind: click, purchase or search.
        time: seconds since 1970.
        item: catalogue position, -1 for a search.
        query: a harmless text, empty for an item.
    """

    kind: Kind
    time: float
    item: int = -1
    query: str = ""


@dataclass(frozen=True)
class Visit:
    """See the module.

    Args:
        actions: oldest first.
        shown: catalogue positions of the products to click.
        heading: what these are the result of, a query; empty for what is popular.
    """

    actions: tuple[Action, ...] = ()
    shown: tuple[int, ...] = ()
    heading: str = ""

    @property
    def full(self) -> bool:
        """Whether it takes no more actions."""
        return len(self.actions) >= MOST

    @property
    def last_item(self) -> int:
        """The product that was clicked or bought last, -1 for none."""
        return next((action.item for action in reversed(self.actions) if action.item >= 0), -1)

    def told(self, catalogue: Catalogue) -> list[dict[str, Any]]:
        """The actions as `Recommender` takes them."""
        return [_told(action, catalogue) for action in self.actions]


def _told(action: Action, catalogue: Catalogue) -> dict[str, Any]:
    what = {"query": action.query} if action.kind == "search" else {"item_id": catalogue.item_ids[action.item]}
    return {"action": action.kind, "timestamp": action.time, **what}


def searched(visit: Visit, text: str, now: float) -> Visit:
    """With one more search; the same visit where nothing of the text is left, or it is full."""
    query = sanitize(text[: 4 * TEXT_LIMIT])
    return _with(visit, Action("search", now, query=query)) if query else visit


def clicked(visit: Visit, item: int, now: float) -> Visit:
    """With a click on a product, a catalogue position; the same visit where it is full."""
    return _with(visit, Action("click", now, item))


def bought(visit: Visit, now: float) -> Visit:
    """With a purchase of the product that was clicked last; the same visit where there is none, or it is full."""
    return visit if visit.last_item < 0 else _with(visit, Action("purchase", now, visit.last_item))


def undone(visit: Visit) -> Visit:
    """Without its last action."""
    return replace(visit, actions=visit.actions[:-1])


def showing(visit: Visit, items: Sequence[int], heading: str) -> Visit:
    """With other products to click."""
    return replace(visit, shown=tuple(items), heading=heading)


def _with(visit: Visit, action: Action) -> Visit:
    if visit.full:
        return visit
    last = visit.actions[-1].time if visit.actions else 0.0
    return replace(visit, actions=(*visit.actions, replace(action, time=max(action.time, last + 1))))
