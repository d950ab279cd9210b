import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.search_log import SearchLog
from recbole_llmfashion.data.timeline import CLICK, PURCHASE, SEARCH, Events, Timeline

COLUMNS = ["user_id", "timestamp", "query", "results"]


def make_log(rows):
    """Searches of user 1; rows: (time, query)."""
    frame = pd.DataFrame([("u1", time, query, "") for time, query in rows], columns=COLUMNS)
    return SearchLog.from_frame(frame, {"u1": 1}, Catalogue((), (), {}), np.array([-np.inf, 1e9]))


@given(st.lists(st.integers(0, 6), max_size=8), st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_history_is_earlier_actions_and_strictly_earlier_searches(searches, actions):
    searches, actions = sorted(searches), sorted(actions)
    log = make_log([(float(t), f"q{i}") for i, t in enumerate(searches)])
    n = len(actions)
    line = Timeline(np.ones(n, np.int64), np.arange(n), np.arange(n) % 2 == 0, np.array(actions, float), log, 2)
    for i, time in enumerate(actions):
        events = line.events(1, int(line.length_before[i]))
        items = events.ref[events.kind != SEARCH].tolist()
        assert items == list(range(i))
        assert events.ref[events.kind == SEARCH].tolist() == [s for s, t in enumerate(searches) if t < time]
        assert (np.diff(events.time) >= 0).all()


def test_events():
    log = make_log([(1.0, "x"), (3.0, "y")])
    line = Timeline(
        np.array([1, 1, 2]), np.array([0, 1, 2]), np.array([0, 1, 1], bool), np.array([1.0, 3.0, 0]), log, 3
    )
    events = line.events(1, 4)
    assert events.kind.tolist() == [CLICK, SEARCH, PURCHASE, SEARCH]
    assert events.ref.tolist() == [0, 0, 1, 1]
    assert events.time.tolist() == [1.0, 1.0, 3.0, 3.0]
    assert line.length_before.tolist() == [0, 2, 0]
    assert line.events(2, 1).ref.tolist() == [2]


def test_last_search():
    kind = np.array([SEARCH, CLICK, SEARCH, PURCHASE], np.int8)
    events = Events(kind, np.array([5, 0, 6, 1]), np.arange(4.0))
    assert events.last_search() == 6
    assert Events(kind[1:2], np.array([0]), np.array([0.0])).last_search() == -1
