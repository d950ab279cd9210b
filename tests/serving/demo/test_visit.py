"""What a customer does on the page: order, limits, undo."""

from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.serving.demo import visit
from recbole_llmfashion.serving.demo.examples import common_queries, examples
from recbole_llmfashion.serving.demo.visit import MOST, Action, Visit
from recbole_llmfashion.serving.session import make_session
from tests.helpers.demo import FakeDesk, catalogue

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
def test_whatever_is_done_the_recommender_takes_it_in_this_order(steps):
    now = Visit()
    for step in steps:
        now = do(now, step)
    session = make_session(now.told(catalogue()), {item: i for i, item in enumerate(catalogue().item_ids)})
    assert not session.left_out  # neither out of order, nor empty, nor unknown
    assert session.items() == [action.item for action in now.actions if action.item >= 0]
    assert list(session.queries) == [action.query for action in now.actions if action.kind == "search"]


def test_a_clock_that_stands_still_or_goes_back_does_not_change_the_order():
    now = visit.bought(visit.clicked(visit.searched(Visit(), "red  boots", 100.0), 3, 100.0), 7.0)
    assert [(a.kind, a.time, a.item, a.query) for a in now.actions] == [
        ("search", 100.0, -1, "red boots"),
        ("click", 101.0, 3, ""),
        ("purchase", 102.0, 3, ""),
    ]
    assert now.told(catalogue())[1:] == [
        {"action": "click", "timestamp": 101.0, "item_id": "13"},
        {"action": "purchase", "timestamp": 102.0, "item_id": "13"},
    ]
    assert visit.undone(now).actions == now.actions[:2] and visit.undone(Visit()) == Visit()


def test_what_does_nothing_gives_the_same_visit():
    before = Visit((Action("search", 1.0, query="boots"),))
    assert visit.searched(before, " \x00\t ", 2.0) is before
    assert visit.bought(before, 2.0) is before
    full = Visit((Action("click", 1.0, 2),) * MOST)
    assert full.full and not before.full
    assert visit.clicked(full, 1, 2.0) is full and visit.searched(full, "boots", 2.0) is full
    assert visit.undone(full).full is False


def test_a_query_of_100_kb_is_cut():
    query = visit.searched(Visit(), "boots " * 20_000, 1.0).actions[0].query
    assert query.startswith("boots boots") and len(query) <= 200


def test_examples_are_of_the_memorys_common_queries_and_of_known_products():
    state = FakeDesk()
    # sandals three times, red boots twice in two spellings; socks boots shares a word with red boots
    assert common_queries(state, 4) == ["sandals", "red boots"]
    made = examples(state, 1000.0)
    assert list(made) == [
        "New customer",
        "Searched “sandals”",
        "Searched “red boots”, clicked 1",
        "Looked at Plain Socks",
    ]
    assert made["New customer"] == Visit()
    looked = made["Searched “red boots”, clicked 1"].actions
    assert [(a.kind, a.time, a.item, a.query) for a in looked] == [
        ("search", 940.0, -1, "red boots"),
        ("click", 1000.0, 0, ""),  # the first product of that query
    ]


def test_examples_of_four_queries_and_of_none():
    queries = ("a", "b", "c", "d", "d")
    assert list(examples(FakeDesk(queries=queries), 9e8))[1:] == [
        "Searched “d”",
        "Searched “a”, clicked 1",
        "Searched “b”, clicked 1",  # the memory has one product for it
        "Searched “c”, clicked 1, bought 1, searched again",
        "Looked at Plain Socks",
    ]
    assert list(examples(FakeDesk(queries=()), 9e8))[1:] == [
        "Looked at Plain Socks",
        "Looked at Gilt Clutch, clicked 1",
        "Looked at Black Sandals, bought 1, clicked 2",
    ]
