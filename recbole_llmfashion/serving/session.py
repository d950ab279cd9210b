"""Validates the actions of one customer and orders them as data/timeline.py does for training users.

    {"action": "click", "item_id": "11", "timestamp": 1701000000}
    {"action": "search", "query": "red boots", "timestamp": 1700999999}

A malformed action raises an error that names it. Unknown items and queries that are empty after sanitizing are left
out and counted.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.data.atomic.folder import ACTIONS
from recbole_llmfashion.data.atomic.times import LATEST, RANGE, guess
from recbole_llmfashion.data.search_log import SearchLog
from recbole_llmfashion.data.timeline import Events, Timeline
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.prompt.texts import is_long, sanitize

SEARCH = "search"


@dataclass(frozen=True)
class Session:
    """The events of one customer and the time of the recommendation.

    Args:
        events: in order of time; `ref` is a catalogue position for an item, an index into `queries` for a search.
        queries: sanitized query texts.
        now: time of the recommendation, seconds since 1970.
        left_out: counts of actions that were left out or reordered.
        shortened: by query, whether its end was left out.
    """

    events: Events
    queries: tuple[str, ...]
    now: float
    left_out: Counter[str]
    shortened: tuple[bool, ...] = ()

    def items(self) -> list[int]:
        """Catalogue positions of the clicks and purchases, in order of time."""
        return self.events.items()


def read_actions(path: Path) -> list[Any]:
    """Reads a file with one JSON action per line.

    Raises:
        UserError: the file is not readable, or a line is not valid JSON or no valid action.
    """
    try:
        # a query may hold U+2028 and others that splitlines() splits at
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--actions: cannot read {path} ({error}); give a file of JSON lines") from None
    actions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            actions.append(parse_json(line))
        except ValueError:
            raise UserError(f"--actions: {path}, line {number}: not valid JSON; expected {_example()}") from None
        _check_line(actions[-1], f"--actions: {path}, line {number}")
    return actions


def _check_line(action: Any, place: str) -> None:
    """Raises UserError if an action is malformed.

    Args:
        place: of the action, for the message.
    """
    kind, _ = _kind_and_time(action, place)
    _ = _query(action, place) if kind == SEARCH else _item_id(action, place)


def _example() -> str:
    return '{"action": "click", "item_id": "..", "timestamp": 1701000000} or {"action": "search", "query": "..", ..}'


def make_session(actions: Iterable[Any], positions: Mapping[str, int], now: float | None = None) -> Session:
    """Validates actions, sorts them by time and leaves out unknown items and empty queries.

    The sort is stable, except that item actions precede searches of the same time, as in training.

    Args:
        actions: mappings with action, item_id or query, and timestamp; other keys are ignored.
        positions: catalogue position by item id.
        now: time of the recommendation; default: the time of the last action.

    Raises:
        UserError: an action is malformed, or `now` is earlier than an action.

    Example:
        >>> session = make_session([{"action": "click", "item_id": "11", "timestamp": 5}], {"11": 3})
        >>> session.items(), session.now
        ([3], 5.0)
    """
    items: list[tuple[int, bool, float]] = []
    searches: list[tuple[str, float]] = []
    shortened: list[bool] = []
    left_out: Counter[str] = Counter()
    times: list[float] = []
    for number, action in enumerate(_as_list(actions), 1):
        place = f"action {number}"
        kind, time = _kind_and_time(action, place)
        times.append(time)
        if kind == SEARCH:
            text = _query(action, place)
            query = sanitize(text)
            left_out["empty_queries"] += not query
            searches += [(query, time)] if query else []
            shortened += [is_long(text)] if query else []
        else:
            position = positions.get(_item_id(action, place))
            left_out["unknown_items"] += position is None
            items += [(position, kind == "purchase", time)] if position is not None else []
    left_out["out_of_order"] += sum(later < earlier for earlier, later in pairwise(times))
    if now is not None:
        now = _seconds(now, "now")
        if times and math.floor(now) < math.floor(max(times)):
            last = math.floor(max(times))
            raise UserError(f"now: {math.floor(now)} is before the last action, at {last}; give a later time")
    request_time = now if now is not None else max(times, default=0.0)
    queries = tuple(query for query, _ in searches)
    return Session(_events(items, searches), queries, request_time, +left_out, tuple(shortened))


def _as_list(actions: Iterable[Any]) -> Sequence[Any]:
    if isinstance(actions, str | bytes | Mapping) or not isinstance(actions, Iterable):
        raise UserError(f"actions: expected a list of actions such as {_example()}")
    return list(actions)


def _kind_and_time(action: Any, place: str) -> tuple[str, float]:
    if not isinstance(action, Mapping):
        raise UserError(f"{place}: expected {_example()}")
    kind = action.get("action")
    if not isinstance(kind, str) or kind not in (*ACTIONS, SEARCH):
        raise UserError(f"{place}: expected action click, purchase or search, found {_shorten(kind)}")
    return kind, _seconds(action.get("timestamp"), f"{place}: timestamp")


def _seconds(value: Any, where: str) -> float:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 <= value < LATEST:  # NaN is in no range
        probably = f", {guess(value)}" if number and value < 1e30 and guess(value) else ""
        raise UserError(f"{where}: expected {RANGE}, found {_shorten(value)}{probably}")
    return float(value)


def _item_id(action: Mapping[str, Any], place: str) -> str:
    value = action.get("item_id")
    text = str(value) if _is_integer(value) and not _is_long(value) else value
    if not isinstance(text, str) or not text:
        raise UserError(f"{place}: a {action['action']} needs an item_id, found {_shorten(value)}")
    return text


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_long(value: Any) -> bool:
    """Whether an integer is beyond 64 bits, where Python refuses to print some numbers."""
    return int(value).bit_length() > 64


def _query(action: Mapping[str, Any], place: str) -> str:
    value = action.get("query")
    if not isinstance(value, str):
        raise UserError(f"{place}: a search needs a query, found {_shorten(value)}")
    return value


def _shorten(value: Any) -> str:
    """`repr` of a value, at most 40 characters."""
    if _is_integer(value) and _is_long(value):
        return "a number of more than 64 bits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}.."


def _events(items: list[tuple[int, bool, float]], searches: list[tuple[str, float]]) -> Events:
    """The events in the order of `Timeline`, which training and evaluation use."""
    count = len(searches)
    log = SearchLog(
        users=np.ones(count, np.int64),
        times=np.asarray([time for _, time in searches], np.float64),
        query_index=np.arange(count),
        queries=tuple(query for query, _ in searches),
        result_ptr=np.zeros(count + 1, np.int64),
        result_items=np.zeros(0, np.int64),
        training=np.zeros(count, bool),
    )
    timeline_of_one = Timeline(
        users=np.ones(len(items), np.int64),
        items=np.asarray([item for item, _, _ in items], np.int64),
        purchase=np.asarray([bought for _, bought, _ in items], bool),
        times=np.asarray([time for _, _, time in items], np.float64),
        searches=log,
        n_users=2,
    )
    return timeline_of_one.events(1, len(items) + count)
