"""Actions of a visit: order, limits, undo."""

from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.serving.demo import visit
from recbole_llmfashion.serving.demo.visit import MAX_ACTIONS, Action, Visit
from recbole_llmfashion.serving.session import make_session
from tests.helpers.demo import catalogue

STEPS = st.lists(
    st.tuples(st.sampled_from(["search", "click", "buy", "undo"]), st.text(), st.floats(0, 2e9), st.integers(0, 5))
)


def do(now, step):
    kind, text, time, item = step
    if kind == "search":
        return visit.searched(now, text, time)
    if kind == "click":
        return visit.clicked(now, item, time)
    return visit.bought(now, time) if kind == "buy" else visit.undone(now)


@settings(max_examples=40)
@given(STEPS)
def test_any_visit_is_a_valid_session(steps):
    now = Visit()
    for step in steps:
        now = do(now, step)
    session = make_session(now.as_session(catalogue()), {item: i for i, item in enumerate(catalogue().item_ids)})
    assert not session.left_out  # nothing is out of order, empty or unknown
    assert session.items() == [action.item for action in now.actions if action.item >= 0]
    assert list(session.queries) == [action.query for action in now.actions if action.kind == "search"]


def test_times_always_increase():
    now = visit.bought(visit.clicked(visit.searched(Visit(), "red  boots", 100.0), 3, 100.0), 7.0)
    assert [(a.kind, a.time, a.item, a.query) for a in now.actions] == [
        ("search", 100.0, -1, "red boots"),
        ("click", 101.0, 3, ""),
        ("purchase", 102.0, 3, ""),
    ]
    assert now.as_session(catalogue())[1:] == [
        {"action": "click", "timestamp": 101.0, "item_id": "13"},
        {"action": "purchase", "timestamp": 102.0, "item_id": "13"},
    ]
    assert visit.undone(now).actions == now.actions[:2] and visit.undone(Visit()) == Visit()


def test_no_change():
    before = Visit((Action("search", 1.0, query="boots"),))
    assert visit.searched(before, " \x00\t ", 2.0) is before
    assert visit.bought(before, 2.0) is before
    full = Visit((Action("click", 1.0, 2),) * MAX_ACTIONS)
    assert full.full and not before.full
    assert visit.clicked(full, 1, 2.0) is full and visit.searched(full, "boots", 2.0) is full
    assert visit.undone(full).full is False


def test_long_query():
    query = visit.searched(Visit(), "boots " * 20_000, 1.0).actions[0].query
    assert query.startswith("boots boots") and len(query) <= 200
