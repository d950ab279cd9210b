import numpy as np
import pandas as pd

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.search_log import SearchLog

CATALOGUE = Catalogue(("a", "b", "c"), ("A", "B", "C"), {})


def make_log(rows, last_training=None):
    """rows: (user token, time, query, results)."""
    frame = pd.DataFrame(rows, columns=["user_id", "timestamp", "query", "results"])
    users = {"u1": 1, "u2": 2}
    return SearchLog.from_frame(frame, users, CATALOGUE, np.array(last_training or [-np.inf, 1e9, 1e9]))


def test_from_frame():
    log = make_log([("u1", 1.0, "x", "c a"), ("gone", 1.0, "x", "a"), ("u2", 2.0, "y", ""), ("u2", 3.0, "x", "b")])
    assert log.users.tolist() == [1, 2, 2]
    assert [log.queries[i] for i in log.query_index] == ["x", "y", "x"]
    assert [log.results(i).tolist() for i in range(3)] == [[2, 0], [], [1]]


def test_training_searches_are_strictly_before_the_last_training_target():
    log = make_log([("u1", 1.0, "x", ""), ("u1", 2.0, "x", ""), ("u2", 1.0, "x", "")], [-np.inf, 2.0, -np.inf])
    assert log.training.tolist() == [True, False, False]


def test_earlier_is_strict_and_in_float64():
    base = 1_700_000_000.0  # float32 cannot tell these seconds apart
    log = make_log([("u1", base, "x", ""), ("u1", base + 20, "x", ""), ("u2", base - 5, "x", "")])
    users = np.array([1, 1, 1, 1, 2, 2])
    times = np.array([base, base + 1, base + 20, base + 21, base - 5, base])
    assert log.earlier(users, times).tolist() == [0, 1, 1, 2, 0, 1]
    assert np.float32(base) == np.float32(base + 20)  # the trap itself


def test_attribute_takes_the_latest_search_in_the_window():
    log = make_log([("u1", 0.0, "x", ""), ("u1", 10.0, "y", ""), ("u2", 0.0, "z", "")])
    users = np.array([1, 1, 1, 2, 2])
    times = np.array([5.0, 11.0, 200.0, 0.0, 100.0])
    assert log.attribute(users, times, 100.0).tolist() == [0, 1, -1, -1, 2]


def test_empty_log():
    log = make_log([])
    assert log.earlier(np.array([1]), np.array([5.0])).tolist() == [0]
    assert log.attribute(np.array([1]), np.array([5.0]), 10.0).tolist() == [-1]
