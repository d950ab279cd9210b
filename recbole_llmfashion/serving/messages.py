"""Requests and responses of a Recommender. Imports nothing heavy, so processes without a model can use them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Args:
        item: item id, as in the catalogue.
        title: title, as in the catalogue.
        score: the evaluator's score: number of items minus rank (counted from 0).
        list: the list the item was taken from: beams, id, title, encoder, session, neighbors, words, image, memory,
            taken, clip or popularity.
        prompt: prompt text, if `explain` was requested and the session has a prompt.
        response: raw response of the LLM, under the same condition.

    Example:
        >>> Recommendation("11", "Zephyr Snow Clog", 250.0, "id").title
        'Zephyr Snow Clog'
    """

    item: str
    title: str
    score: float
    list: str
    prompt: str | None = None
    response: str | None = None


@dataclass(frozen=True)
class RecommendResponse:
    """The recommended items of one request.

    Args:
        lines: one per item, best first.
        left_out: counts of session actions that were left out or reordered, see serving/session.py, and of those whose
            text the prompt does not show to its end (`shortened_texts`).
    """

    lines: list[Recommendation]
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RecommendRequest:
    """The arguments of one call of `Recommender.recommend`."""

    actions: Iterable[Any]
    k: int = 10
    now: float | None = None
    explain: bool = False


@dataclass(frozen=True)
class BatchReply:
    """A response together with the number of requests in its batch."""

    response: RecommendResponse
    batch_size: int


@dataclass(frozen=True)
class ErrorReply:
    """The message of a UserError, returned across processes.

    Args:
        message: one line.
        unavailable: whether no request can be answered now, regardless of its content.
    """

    message: str
    unavailable: bool = False
