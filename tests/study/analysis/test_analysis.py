"""The numbers of section 3, by hand on small frames."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.split import sequence_lengths
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.analysis import contrasts
from recbole_llmfashion.study.analysis.counts import BIN_LABELS, BIN_STARTS, length_statistics
from recbole_llmfashion.study.analysis.dates import covered_months, has_dates
from recbole_llmfashion.study.analysis.measure import measure
from recbole_llmfashion.study.analysis.queries import queries
from recbole_llmfashion.study.analysis.seasonality import (
    TIMES,
    association,
    calendar_positions,
    pulls,
    strongest,
    with_rest,
)
from recbole_llmfashion.study.analysis.turnover import first_appearance, turnover
from tests.helpers import fakes

SEASONS = {"11": "winter", "12": "winter", "13": "summer", "14": " summer "}


def seconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def log(*rows: str) -> str:
    """`user item action day` lines as an .inter."""
    cells = [row.split() for row in rows]
    lines = [f"{user}\t{item}\t{action}\t{seconds(day)}" for user, item, action, day in cells]
    return "\n".join([fakes.INTER.splitlines()[0], *lines]) + "\n"


def items(column: str, values: dict[str, object]) -> str:
    """The small catalogue with one more column."""
    head, *rows = fakes.ITEM.splitlines()
    kind = "float" if column == "available_from" else "token"
    return "\n".join(
        [f"{head}\t{column}:{kind}", *(f"{row}\t{values.get(row.split(chr(9))[0], '')}" for row in rows), ""]
    )


# Three months of 2024: item 11 acts first in January, 12 in February, 13 and 14 in March; 15 and 16 never.
THREE_MONTHS = log(
    "u1 11 purchase 2024-01-02",
    "u1 12 click 2024-02-10",
    "u1 13 click 2024-03-01",
    "u1 14 purchase 2024-03-30",
    "u2 11 click 2024-01-20",
    "u2 12 purchase 2024-02-20",
)


@pytest.fixture
def tiny(tmp_path):
    return read_folder(fakes.write_tiny(tmp_path))


def test_table_1_by_hand(tiny):
    found = measure(tiny).counts
    assert (found.users, found.items, found.interactions) == (3, 6, 12)
    assert (found.mean_length, found.per_item) == (4.0, 2.0)


def test_a_click_on_what_is_bought_does_not_count(tmp_path):
    inter = fakes.INTER.replace("u1\t13\tclick", "u1\t16\tclick").replace("u3\t16\tclick", "u3\t14\tclick")
    folder = read_folder(fakes.write_tiny(tmp_path, inter=inter))
    assert sequence_lengths(folder.interactions).tolist() == [5, 2, 3]
    assert measure(folder).lengths.all_clicks == 4.0


def test_lengths_by_hand(tiny):
    found = measure(tiny).lengths
    assert (found.mean, found.lower, found.median, found.upper) == (4.0, 3.0, 4.0, 5.0)
    assert dict(zip(BIN_LABELS, found.shares, strict=True)) == pytest.approx(
        dict.fromkeys(BIN_LABELS, 0) | {"1-2": 1 / 3, "3-4": 1 / 3, "5-7": 1 / 3}
    )


def test_every_length_has_a_bin():
    lengths = np.array([1, 2, 3, 7, 8, 39, 40, 5000])
    shares = length_statistics(lengths, 0).shares
    assert np.array(shares) * 8 == pytest.approx([2, 1, 1, 1, 0, 0, 1, 2])
    spans = [label.replace("+", "").replace("-", " ").split() for label in BIN_LABELS]
    assert [int(span[0]) for span in spans] == list(BIN_STARTS)
    assert [int(span[1]) + 1 for span in spans[:-1]] == list(BIN_STARTS[1:])


def test_the_papers_table_1():
    """Mean lengths and interactions per item as printed."""
    printed = {name: (round(c.mean_length, 2), round(c.per_item, 2)) for name, c in contrasts.TABLE_1.items()}
    assert printed == {
        "luggage_bags": (12.41, 2.14),
        "footwear": (11.29, 1.88),
        "accessories_jewelry": (12.98, 2.63),
        "clothing": (13.25, 2.62),
    }


def test_turnover_by_first_action(tmp_path):
    """January is left out: there every item is new; 15 and 16 never appear."""
    found = turnover(read_folder(fakes.write_tiny(tmp_path, inter=THREE_MONTHS, search="")))
    assert (found.basis, found.catalogue, found.dated) == ("first action", 6, 4)
    assert (found.months, found.new) == (("2024-02", "2024-03"), (1, 2))
    assert (found.mean, found.median) == (1.5, 1.5)


def test_turnover_by_available_from(tmp_path):
    """Old stock and what comes after the log belong to no month; the month's edges do."""
    given = {
        "11": seconds("1999-12-31"),
        "12": seconds("2024-01-01"),
        "13": seconds("2024-02-29"),
        "14": seconds("2024-03-31"),
        "15": seconds("2024-04-01"),
        "16": 1e300,
    }
    item = items("available_from", given)
    found = turnover(read_folder(fakes.write_tiny(tmp_path, inter=THREE_MONTHS, search="", item=item)))
    assert (found.basis, found.dated) == ("available_from", 6)
    assert (found.months, found.new) == (("2024-01", "2024-02", "2024-03"), (1, 1, 1))


def test_an_empty_available_from_falls_back_to_the_first_action(tmp_path):
    item = items("available_from", {"11": seconds("2023-01-01"), "12": seconds("2024-03-05"), "13": 0, "16": 5})
    folder = read_folder(fakes.write_tiny(tmp_path, inter=THREE_MONTHS, search="", item=item))
    first, given = first_appearance(folder.interactions, folder.items)
    assert given.tolist() == [True, True, True, True, False, False]  # 16, 11, 12, 13, 14, 15 in .item
    assert first[4] == seconds("2024-03-30") and np.isnan(first[5])
    found = turnover(folder)
    assert found.basis == "available_from, else first action (2 items)"
    assert (found.months, found.new) == (("2024-02", "2024-03"), (0, 2))


def test_turnover_needs_dates_and_a_month(tmp_path, tiny):
    assert turnover(tiny) == "not applicable: the log covers no whole month"
    order = read_folder(fakes.purchases_only(tmp_path, 3, 5, 4))
    assert turnover(order) == "not applicable: no dates"


def test_months_that_are_covered():
    times = np.array([seconds("2024-01-07"), seconds("2024-02-26") + 86399, seconds("2024-02-01")], float)
    assert covered_months(times).astype(str).tolist() == ["2024-01", "2024-02"]  # 25 and 26 days
    times[0] += 86400
    assert covered_months(times).astype(str).tolist() == ["2024-02"]
    assert has_dates(times) and not has_dates(np.array([0.0, 2e9])) and not has_dates(np.zeros(0))


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
    """Eight purchases: seven on 26 November, 16 on 18 December; 16 has no season."""
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
    assert strongest(season, found.by_month) is None  # no cell expects five purchases


def test_strongest_month():
    class Values:
        values = ("boots", "sandals")
        by_month = np.array([[30, 10] + [0] * 10, [2, 38] + [0] * 10])

    # of 100 purchases 40 are in January; boots expect 40 x 40 / 100 = 16 of them and have 30
    assert strongest(Values, np.array([40, 60] + [0] * 10)) == ("boots", "Jan", 30 / 16)


def test_empty_columns_have_a_reason(tmp_path):
    item = items("occasion", {"15": "party"})  # which nobody buys
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
def test_no_association_without_two_of_each(table):
    assert association(np.array(table)) is None


def test_the_baseline_is_what_random_order_gives():
    rng = np.random.default_rng(2)
    value, month = rng.integers(0, 3, 40), rng.integers(0, 5, 40)
    squares = []
    for _ in range(400):
        table = np.bincount(value * 5 + rng.permutation(month), minlength=15).reshape(3, 5)
        squares.append(association(table).v ** 2)
    assert np.mean(squares) ** 0.5 == pytest.approx(association(table).baseline, rel=0.04)


@given(st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=2, max_size=5))
def test_association_lies_between_none_and_all(table):
    found, turned = association(np.array(table)), association(np.array(table).T)
    assert (found is None) == (turned is None)
    if found is not None:
        assert 0 <= found.v <= 1 + 1e-9
        assert found.v == pytest.approx(turned.v)


def test_queries_by_hand(tiny):
    """26 November: red boots, black sandals twice; 18 December: red boot, last minute. u2 never searches."""
    found = queries(tiny)
    assert (found.searches, found.days, found.unique) == (5, 2, 4)
    assert found.a_day == 2.0
    assert found.a_day_per_user == pytest.approx(2 / 3)
    assert found.a_user == pytest.approx(5 / 3)


def test_queries_need_searches_and_dates(tmp_path):
    folder = read_folder(fakes.write_tiny(tmp_path, search=""))
    assert queries(folder) == "not applicable: no searches"
    head = fakes.SEARCH.splitlines()[0]
    ordered = fakes.write_tiny(tmp_path, search=f"{head}\nu1\t7\tred boots\t\n", name="ordered")
    assert queries(read_folder(ordered)) == "not applicable: no dates"


def test_milliseconds_are_refused(tmp_path):
    inter = fakes.INTER.replace("1702900000", "1702900000000")
    with pytest.raises(UserError, match=r"tiny\.inter: timestamp 1702900000000 is after the year 9999; write seconds"):
        measure(read_folder(fakes.write_tiny(tmp_path, inter=inter)))


def test_an_unclean_folder_is_refused(tmp_path):
    rows = fakes.INTER.splitlines()
    inter = "\n".join([*rows[:-1], rows[-1].replace("purchase", "click"), ""])
    with pytest.raises(UserError, match="clean"):
        measure(read_folder(fakes.write_tiny(tmp_path, inter=inter)))
