"""Example visits from the queries of the memory and from popular products."""

from recbole_llmfashion.serving.demo.examples import common_queries, examples
from recbole_llmfashion.serving.demo.visit import Visit
from tests.helpers.demo import FakeState


def test_examples():
    state = FakeState()
    # four users searched for sandals, three for red boots; socks boots shares a word with red boots
    assert common_queries(state, 4) == ["sandals", "red boots"]
    visits = examples(state, 1000.0)
    assert list(visits) == [
        "New customer",
        "Searched “sandals”",
        "Searched “red boots”, clicked 1",
        "Clicked Plain Socks",
    ]
    assert visits["New customer"] == Visit()
    actions = visits["Searched “red boots”, clicked 1"].actions
    assert [(a.kind, a.time, a.item, a.query) for a in actions] == [
        ("search", 940.0, -1, "red boots"),
        ("click", 1000.0, 0, ""),  # the first product of that query
    ]


def test_a_query_of_one_user_is_no_example():
    assert common_queries(FakeState(askers=(1, 1, 2, 2, 2, 1)), 4) == ["sandals"]
    assert common_queries(FakeState(askers=(1,) * 6), 4) == []
    assert list(examples(FakeState(askers=(1,) * 6), 1000.0)) == list(examples(FakeState(queries=()), 1000.0))


def test_examples_of_other_memories():
    queries = ("a", "b", "c", "d", "d")
    assert list(examples(FakeState(queries=queries, askers=(2, 2, 2, 3, 3)), 9e8))[1:] == [
        "Searched “d”",
        "Searched “a”, clicked 1",
        "Searched “b”, clicked 1",  # the memory has one product for it
        "Searched “c”, clicked 1, bought 1, searched again",
        "Clicked Plain Socks",
    ]
    assert list(examples(FakeState(queries=()), 9e8))[1:] == [
        "Clicked Plain Socks",
        "Clicked Gilt Clutch, clicked 1",
        "Clicked Black Sandals, bought 1, clicked 2",
    ]
