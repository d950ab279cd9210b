"""What goes into a Recommender and what comes out, for processes that load no model: imports nothing heavy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recommendation:
    """One line of a list.

    Args:
        item, title: as in the catalogue.
        score: what the evaluator ranks by: the number of items minus the rank, from 0.
        list: which list gave it: beams, id, title, session, memory, clip or popularity.
        prompt, response: what the LLM was asked and said, where it was asked for and asked.
    """

    item: str
    title: str
    score: float
    list: str
    prompt: str | None = None
    response: str | None = None


@dataclass(frozen=True)
class RecommendResponse:
    """A list, best first.

    Args:
        lines: one an item.
        left_out: counts of what the session lost or had put in order, see session.py.
    """

    lines: list[Recommendation]
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RecommendRequest:
    """One call of `Recommender.recommend`, with its arguments."""

    actions: Iterable[Any]
    k: int = 10
    now: float | None = None
    explain: bool = False


@dataclass(frozen=True)
class BatchReply:
    """A list, and how many sessions the LLM answered with it."""

    listed: RecommendResponse
    batch: int


@dataclass(frozen=True)
class ErrorReply:
    """A UserError's line."""

    text: str
