"""memory.parquet: its order tells nothing of the log, and rare queries are left out with their vectors."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.memory_file import COLUMNS, memory_frame, note_of_one, without_rare

QUERIES = ("Red  boots", "sandals", "red boots")
QUERY, ITEM, POSITION = np.array([1, 0, 2, 0]), np.array([4, 1, 1, 0]), np.array([0, 0, 2, 1])
ASKERS = np.array([1, 2, 2, 2])


def frame():
    return memory_frame(QUERIES, QUERY, ITEM, POSITION, ASKERS)


def test_rows_by_hand():
    assert frame().to_numpy().tolist() == [
        ["red boots", 0, 1, 2], ["red boots", 1, 0, 2], ["red boots", 1, 2, 2], ["sandals", 4, 0, 1],
    ]  # fmt: skip


@given(st.permutations(range(4)))
def test_the_order_of_the_log_is_lost(order):
    log = [column[list(order)] for column in (QUERY, ITEM, POSITION, ASKERS)]
    assert memory_frame(QUERIES, *log).equals(frame())


def test_rare_queries_leave_with_their_vectors():
    vectors = np.array([[1.0], [2.0]])
    kept, left, left_out = without_rare(frame(), vectors, 2, Path("run"))
    assert kept["query"].tolist() == ["red boots"] * 3 and left.tolist() == [[1.0]] and left_out == 1
    assert without_rare(frame(), vectors, 1, Path("run"))[1:] == (vectors, 0)
    assert without_rare(frame(), vectors, 3, Path("run"))[2] == 2
    assert len(without_rare(frame().drop(columns="askers"), vectors, 1, Path("run"))[0]) == 4
    with pytest.raises(UserError, match="does not say how many users"):
        without_rare(frame().drop(columns="askers"), vectors, 2, Path("run"))


def test_the_main_job_says_how_many_queries_one_user_alone_typed():
    assert note_of_one(frame()).startswith("the run folder holds 2 queries, 1 of which one user alone typed")
    assert note_of_one(frame().query("askers > 1")) == "" == note_of_one(frame().head(0))


def test_each_query_keeps_its_own_vector():
    """The first and the third of four sorted queries are of too few users."""
    askers = {"boots": 1, "gowns": 4, "hats": 2, "socks": 3}
    rows = pd.DataFrame([(query, item, 0, askers[query]) for query in askers for item in (4, 5)])
    rows.columns = [*COLUMNS, "askers"]
    vectors = np.arange(4.0)[:, None]
    kept, left, left_out = without_rare(rows, vectors, 3, Path("run"))
    assert kept["query"].unique().tolist() == ["gowns", "socks"] and left.tolist() == [[1.0], [3.0]] and left_out == 2
