"""AUC by hand and for any scores; which row of a customer is asked."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.data.atomic.folder import AtomicFolder, empty_searches
from recbole_llmfashion.study.audit.measures.membership import auc, last_rows
from recbole_llmfashion.study.audit.measures.training_log import TrainingLog, keys_of_run

LISTS = st.lists(st.integers(0, 5), min_size=1, max_size=9)


def test_auc_by_hand():
    found = auc([1, 2], [2, 3])
    assert found.value == 0.875
    # Hanley and McNeil: q1 = .875 / 1.125, q2 = 2 * .765625 / 1.875
    variance = (0.875 * 0.125 + (0.7777778 - 0.765625) + (0.8166667 - 0.765625)) / 4
    assert found.error == pytest.approx(variance**0.5, rel=1e-5)
    assert not found.tells and auc(range(50), range(100, 150)).tells


@given(LISTS, LISTS)
def test_who_is_a_member_only_turns_the_area(members, others):
    assert auc(members, others).value == pytest.approx(1 - auc(others, members).value)


def log_of(rows):
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "action", "timestamp"]).astype({"timestamp": float})
    searches = pd.DataFrame([["u1", 15.0, "red boots", ""], ["u1", 25.0, "late", ""]], columns=empty_searches().columns)
    folder = AtomicFolder("shop", None, frame, searches, pd.DataFrame({"item_id": list("abcdx")}))
    return TrainingLog.of(folder, keys_of_run({"click_filter": "none"}, "shop", Path(".")))


def test_the_last_training_row():
    """u1 has purchases at 30 and 50, so its validation row is the one at 30, and the last training row the click at 20.

    u2 has no training row; u3's is about a product that is left out.
    """
    log = log_of(
        [
            ("u1", "a", "click", 10),
            ("u1", "b", "click", 20),
            ("u1", "c", "purchase", 30),
            ("u1", "b", "click", 40),
            ("u1", "d", "purchase", 50),
            ("u2", "a", "click", 10),
            ("u2", "b", "purchase", 20),
            ("u3", "a", "click", 10),
            ("u3", "x", "click", 20),
            ("u3", "b", "purchase", 30),
        ]
    )
    state = SimpleNamespace(pool=SimpleNamespace(positions={"a": 0, "b": 1, "c": 2, "d": 3, "x": 4}))
    (row,) = last_rows(log, state, 9, 1, without={"x"})
    assert (row.target, row.session.items(), row.session.queries, row.session.now) == (1, [0], ("red boots",), 20.0)
    assert {one.target for one in last_rows(log, state, 9, 1, without=set())} == {1, 4}
    del state.pool.positions["x"]  # customers who were left out may have products that the run does not know
    assert {one.target for one in last_rows(log, state, 9, 1, without=set())} == {1}
