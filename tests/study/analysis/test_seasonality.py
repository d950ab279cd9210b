"""Purchases by month and holiday."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.study.analysis.seasonality import (
    TIMES,
    association,
    calendar_positions,
    pulls,
    strongest,
    with_rest,
)
from tests.helpers import fakes
from tests.helpers.analysis import items, seconds

SEASONS = {"11": "winter", "12": "winter", "13": "summer", "14": " summer "}


def test_calendar_by_hand():
    days = ["2023-11-26", "2023-12-18", "2024-02-14", "2024-02-15", "2024-12-31", "2024-06-15"]
    month, near = calendar_positions(np.array([seconds(day) for day in days], float))
    assert month.tolist() == [10, 11, 1, 1, 11, 5]
    assert [TIMES[place] for place in near] == [
        "no holiday",
        "Christmas",
        "Valentine's Day",
        "no holiday",
        "New Year",
        "no holiday",
    ]


def test_pulls_by_hand(tmp_path):
    """Eight purchases: seven on 26 November, and of item 16, which has no season, on 18 December."""
    found = pulls(read_folder(fakes.write_tiny(tmp_path, item=items("season", SEASONS))))
    season = found.columns["season"]
    assert found.columns["occasion"] == "not applicable: no occasion column"
    assert found.by_month.tolist() == [0] * 10 + [7, 1]
    assert dict(zip(TIMES, found.by_holiday, strict=True)) == dict.fromkeys(TIMES, 0) | {
        "no holiday": 7,
        "Christmas": 1,
    }
    assert season.values == ("winter", "summer")
    assert season.by_month[:, 10:].tolist() == [[4, 0], [3, 0]] and season.by_month[:, :10].sum() == 0
    assert season.by_holiday[:, -1].tolist() == [4, 3]
    table = with_rest(season.by_month, found.by_month)
    assert table[:, 10:].tolist() == [[4, 0], [3, 0], [0, 1]]
    linked = association(table)
    assert (linked.v, linked.baseline) == (pytest.approx(1.0), pytest.approx((2 / 7) ** 0.5))
    assert strongest(season, found.by_month) is None  # no cell has five expected purchases


def test_strongest_month():
    class Values:
        values = ("boots", "sandals")
        by_month = np.array([[30, 10] + [0] * 10, [2, 38] + [0] * 10])

    # 40 of 100 purchases are in January; the expected number of boots is 40 x 40 / 100 = 16, the actual one 30
    assert strongest(Values, np.array([40, 60] + [0] * 10)) == ("boots", "Jan", 30 / 16)


def test_empty_columns(tmp_path):
    item = items("occasion", {"15": "party"})  # item 15 is not purchased
    found = pulls(read_folder(fakes.write_tiny(tmp_path, item=item)))
    assert found.columns["occasion"] == "not applicable: no purchased item has a value in occasion"
    assert pulls(read_folder(fakes.purchases_only(tmp_path, 3, 5, 4))) == "not applicable: no dates"


@pytest.mark.parametrize(
    ("table", "v", "baseline"),
    [
        ([[10, 0], [0, 10]], 1.0, (1 / 19) ** 0.5),
        ([[5, 5], [5, 5]], 0.0, (1 / 19) ** 0.5),
        ([[6, 4], [4, 6]], 0.2, (1 / 19) ** 0.5),  # chi2 = 4 x 1 / 5 = 0.8 of 20
        ([[6, 0, 4], [4, 0, 6], [0, 0, 0]], 0.2, (1 / 19) ** 0.5),
        ([[2, 0, 0], [0, 2, 2]], 1.0, (2 / 5) ** 0.5),
    ],
)
def test_association_by_hand(table, v, baseline):
    found = association(np.array(table))
    assert (found.v, found.baseline) == (pytest.approx(v), pytest.approx(baseline))


@pytest.mark.parametrize("table", [[[3, 4]], [[3], [4]], [[0, 0], [3, 4]], [[0, 0], [0, 0]]])
def test_no_association_with_one_row_or_column(table):
    assert association(np.array(table)) is None


def test_baseline_equals_random_order():
    rng = np.random.default_rng(2)
    value, month = rng.integers(0, 3, 40), rng.integers(0, 5, 40)
    squares = []
    for _ in range(400):
        table = np.bincount(value * 5 + rng.permutation(month), minlength=15).reshape(3, 5)
        squares.append(association(table).v ** 2)
    assert np.mean(squares) ** 0.5 == pytest.approx(association(table).baseline, rel=0.04)


@given(st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=2, max_size=5))
def test_association_is_between_0_and_1(table):
    found, turned = association(np.array(table)), association(np.array(table).T)
    assert (found is None) == (turned is None)
    if found is not None:
        assert 0 <= found.v <= 1 + 1e-9
        assert found.v == pytest.approx(turned.v)
