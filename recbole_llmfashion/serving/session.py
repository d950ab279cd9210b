"""What one customer did, as the prompt builder reads it: data/timeline.py's own order, of one user.

    {"action": "click", "item_id": "11", "timestamp": 1701000000}
    {"action": "search", "query": "red boots", "timestamp": 1700999999}

Whatever has another shape is an error that names the action; what the shop does not know (an item, a query of which
nothing is left) is left out and counted. This module knows no prompt and no model.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.data import timeline
from recbole_llmfashion.data.atomic.folder import ACTIONS
from recbole_llmfashion.data.search_log import SearchLog
from recbole_llmfashion.data.timeline import Events, Timeline
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.texts import sanitize

SEARCH = "search"
LATEST = 1e11  # seconds; what is later stands in milliseconds


@dataclass(frozen=True)
class Session:
    """One customer's events and the moment of asking.

    Args:
        events: in order of time; an item is a catalogue position, a search an index into `queries`.
        queries: harmless texts.
        now: seconds, the moment of the recommendation.
        left_out: counts of what was put in order or left out.
    """

    events: Events
    queries: tuple[str, ...]
    now: float
    left_out: Counter[str]

    def items(self) -> list[int]:
        """Catalogue positions of its item actions."""
        return self.events.ref[self.events.kind != timeline.SEARCH].tolist()


def read_actions(path: Path) -> list[Any]:
    """A JSONL file's lines.

    Raises:
        UserError: no such file, or a line that is no JSON.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--actions: {path} is not readable ({error}); name a file of JSON lines") from None
    actions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            actions.append(json.loads(line))
        except (ValueError, RecursionError):
            raise UserError(f"--actions: {path}, line {number}: no JSON; expected {_example()}") from None
    return actions


def _example() -> str:
    return '{"action": "click", "item_id": "..", "timestamp": 1701000000} or {"action": "search", "query": "..", ..}'


def make_session(actions: Iterable[Any], positions: Mapping[str, int], now: float | None = None) -> Session:
    """Checks actions, orders them by time and leaves out what the shop does not know.

    At equal times item actions stand before searches, as in training; otherwise the given order stands.

    Args:
        actions: mappings of action, item_id or query, timestamp; other keys are not read.
        positions: item token to catalogue position.
        now: the moment of the recommendation; the last action's where none is given.

    Raises:
        UserError: an action of another shape, or `now` before an action.
    """
    items: list[tuple[int, bool, float]] = []
    searches: list[tuple[str, float]] = []
    left_out: Counter[str] = Counter()
    times: list[float] = []
    for index, action in enumerate(_listed(actions)):
        kind, time = _kind_and_time(action, index)
        times.append(time)
        if kind == SEARCH:
            query = sanitize(_query(action, index))
            left_out["empty_queries"] += not query
            searches += [(query, time)] if query else []
        else:
            position = positions.get(_item_id(action, index))
            left_out["unknown_items"] += position is None
            items += [(position, kind == "purchase", time)] if position is not None else []
    left_out["out_of_order"] += sum(later < earlier for earlier, later in pairwise(times))
    if now is not None:
        now = _seconds(now, "now")
        if times and math.floor(now) < math.floor(max(times)):
            raise UserError(f"now: {now:.0f} lies before the last action, at {max(times):.0f}; give a later moment")
    moment = now if now is not None else max(times, default=0.0)
    return Session(_events(items, searches), tuple(query for query, _ in searches), moment, +left_out)


def _listed(actions: Iterable[Any]) -> Sequence[Any]:
    if isinstance(actions, str | bytes | Mapping) or not isinstance(actions, Iterable):
        raise UserError(f"actions: expected a list of actions such as {_example()}")
    return list(actions)


def _kind_and_time(action: Any, index: int) -> tuple[str, float]:
    if not isinstance(action, Mapping):
        raise UserError(f"action {index + 1}: expected {_example()}")
    kind = action.get("action")
    if not isinstance(kind, str) or kind not in (*ACTIONS, SEARCH):
        raise UserError(f"action {index + 1}: expected action click, purchase or search, found {_shown(kind)}")
    return kind, _seconds(action.get("timestamp"), f"action {index + 1}: timestamp")


def _seconds(value: Any, where: str) -> float:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 <= value < LATEST:  # NaN is in no range
        raise UserError(f"{where}: expected seconds since 1970, 0 or more and below 1e11, found {_shown(value)}")
    return float(value)


def _item_id(action: Mapping[str, Any], index: int) -> str:
    value = action.get("item_id")
    if isinstance(value, int) and not isinstance(value, bool):
        value = _digits(value)
    if not isinstance(value, str) or not value:
        raise UserError(f"action {index + 1}: a {action['action']} needs an item_id, found {_shown(value)}")
    return value


def _digits(value: int) -> str:
    """An id written as a number; beyond 64 bits it is no id, and Python refuses to print some such numbers."""
    return str(value) if value.bit_length() <= 64 else ""


def _query(action: Mapping[str, Any], index: int) -> str:
    value = action.get("query")
    if not isinstance(value, str):
        raise UserError(f"action {index + 1}: a search needs a query, found {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """What was found, short enough for a line."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a number of more than 64 bits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}.."


def _events(items: list[tuple[int, bool, float]], searches: list[tuple[str, float]]) -> Events:
    """The events in the timeline's order, which is that of training and evaluation."""
    nobody = np.zeros(0, np.int64)
    count = len(searches)
    log = SearchLog(
        users=np.ones(count, np.int64),
        times=np.asarray([time for _, time in searches], np.float64),
        query_index=np.arange(count),
        queries=tuple(query for query, _ in searches),
        result_ptr=np.zeros(count + 1, np.int64),
        result_items=nobody,
        training=np.zeros(count, bool),
    )
    made = Timeline(
        users=np.ones(len(items), np.int64),
        items=np.asarray([item for item, _, _ in items], np.int64),
        purchase=np.asarray([bought for _, bought, _ in items], bool),
        times=np.asarray([time for _, _, time in items], np.float64),
        searches=log,
        n_users=2,
    )
    return made.events(1, len(items) + count)
