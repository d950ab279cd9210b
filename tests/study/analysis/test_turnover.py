"""New items per month."""

import numpy as np

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.study.analysis.turnover import first_appearance, turnover
from tests.helpers import fakes
from tests.helpers.analysis import THREE_MONTHS, items, seconds


def test_turnover_by_first_action(tmp_path):
    """January is left out, since every item is new there; 15 and 16 never appear."""
    found = turnover(read_folder(fakes.write_tiny(tmp_path, inter=THREE_MONTHS, search="")))
    assert (found.basis, found.catalogue, found.dated) == ("first action", 6, 4)
    assert (found.months, found.new) == (("2024-02", "2024-03"), (1, 2))
    assert (found.mean, found.median) == (1.5, 1.5)


def test_turnover_by_available_from(tmp_path):
    """Items from before and after the log belong to no month; first and last day of a month belong to it."""
    given = {
        "11": seconds("1999-12-31"),
        "12": seconds("2024-01-01"),
        "13": seconds("2024-02-29"),
        "14": seconds("2024-03-31"),
        "15": seconds("2024-04-01"),
        "16": seconds("2999-12-31"),
    }
    item = items("available_from", given)
    found = turnover(read_folder(fakes.write_tiny(tmp_path, inter=THREE_MONTHS, search="", item=item)))
    assert (found.basis, found.dated) == ("available_from", 6)
    assert (found.months, found.new) == (("2024-01", "2024-02", "2024-03"), (1, 1, 1))


def test_empty_available_from(tmp_path):
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
