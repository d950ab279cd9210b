import numpy as np

from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory, make_memory
from tests.helpers.fakes import hash_encoder

QUERIES = ("red boots", "Red  BOOTS", "black sandals", "gold clutch")
#      search, query, item, position
ROWS = [
    (0, 0, 1, 0), (0, 0, 2, 1),
    (1, 1, 2, 0), (1, 1, 3, 1),
    (2, 2, 4, 0), (2, 2, 3, 1),
    (3, 3, 0, 0),
]  # fmt: skip


def memory(rows=ROWS, neighbors=1, products=5, tie=None):
    columns = (np.array(column) for column in zip(*rows, strict=True))
    ranks = np.arange(6) if tie is None else np.array(tie)
    return QueryProductMemory(MemoryLog(*columns), QUERIES, hash_encoder, neighbors, products, ranks)


def test_keys_are_normalized():
    assert memory().keys == ["black sandals", "gold clutch", "red boots"]


def test_only_queries_of_the_log_are_known():
    one = memory()
    assert [query for query in ("RED  boots", "gold clutch", "black sandals") if one.knows(query)] == [
        "RED  boots",
        "gold clutch",
        "black sandals",
    ]
    # before the first key, between two, an extension of one, and behind the last
    assert not any(map(one.knows, ("", "amber ring", "blue boots", "red", "red boots for snow", "zebra print")))


def test_products_by_mean_position_then_count():
    # key "red boots": item 1 at 0, item 2 at (1 + 0) / 2, item 3 at 1
    assert memory().top_products("RED boots") == [1, 2, 3]
    rows = [(0, 0, 1, 1), (0, 0, 2, 0), (1, 1, 2, 0), (1, 1, 3, 0)]
    assert memory(rows).top_products("red boots") == [2, 3, 1]  # 2 and 3 both at 0: two counts beat one


def test_products_without_positions():
    rows = [(0, 0, 1, 0), (0, 0, 3, 0), (1, 1, 3, 0), (1, 1, 2, 0)]
    assert memory(rows).top_products("red boots") == [3, 1, 2]
    assert memory(rows, tie=[0, 5, 4, 3, 2, 1]).top_products("red boots") == [3, 2, 1]


def test_lists_of_neighbours_are_interleaved():
    found = memory(neighbors=3, products=4).top_products("red boots")
    assert found[:2] == [1, 4] or found[:2] == [1, 0]
    assert len(set(found)) == 4


def test_number_of_neighbours():
    assert memory(neighbors=1).top_products("red boots") == [1, 2, 3]
    assert sorted(memory(neighbors=2).top_products("red boots")) in ([0, 1, 2, 3], [1, 2, 3, 4])
    assert sorted(memory(neighbors=3).top_products("red boots")) == [0, 1, 2, 3, 4]


def test_own_search_is_left_out():
    assert memory().top_products("red boots", leave_out=0) == [2, 3]
    # a key that only its own search made is gone; the next neighbour answers
    assert memory().top_products("gold clutch") == [0]
    assert memory().top_products("gold clutch", leave_out=3)[0] != 0


def test_askers_are_users_and_not_searches():
    columns = (np.array(column) for column in zip(*ROWS, strict=True))
    log = MemoryLog(*columns)
    # searches 0 and 1 are of one key in two spellings
    assert log.askers(QUERIES, np.array([7, 8, 7, 9])).tolist() == [2, 2, 2, 2, 1, 1, 1]
    assert log.askers(QUERIES, np.array([7, 7, 7, 7])).tolist() == [1] * 7  # one user who repeats a query
    assert log.only(log.askers(QUERIES, np.array([7, 8, 7, 9])) > 1).item.tolist() == [1, 2, 2, 3]
    assert log.only(np.zeros(7, bool)).askers(QUERIES, np.zeros(4, int)).tolist() == []


def test_the_cache_of_queries_is_bounded():
    one = memory()
    before = one.top_products("red boots")
    for number in range(10):
        one.top_products(f"query {number}")
        one.forget(above=4)
        assert len(one._nearest) <= 4
    assert one.top_products("red boots") == before


def test_items_that_may_not_be_recommended_are_not_recalled():
    log = MemoryLog(*(np.array(column) for column in zip(*ROWS, strict=True)))
    live = np.array([True, True, False, True, True, True])
    one = make_memory(log, QUERIES, hash_encoder, 1, 5, np.arange(6), live)
    assert one is not None and one.top_products("red boots") == [1, 3]
    assert make_memory(log, QUERIES, hash_encoder, 1, 5, np.arange(6), np.zeros(6, bool)) is None


def test_products_zero_and_an_empty_log():
    assert memory(products=0).top_products("red boots") == []
    empty = MemoryLog(*(np.zeros(0, np.int64) for _ in range(4)))
    assert QueryProductMemory(empty, QUERIES, hash_encoder, 3, 5, np.arange(6)).top_products("red boots") == []
