"""Unique queries."""

import pytest

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.study.analysis.queries import queries
from tests.helpers import fakes


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
