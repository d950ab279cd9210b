import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_llmfashion.dataset_tools.convert.sources.table_parts import (
    action_of,
    in_catalogue,
    items_of,
    result_ids,
    searches_of,
    time_note,
    time_notes,
)
from recbole_llmfashion.dataset_tools.convert.sources.table_source import read_source
from recbole_llmfashion.errors import UserError


@pytest.mark.parametrize(
    ("word", "action"),
    [("purchase", "purchase"), ("ORDER", "purchase"), ("Add to-cart", "click"), ("page_view", "click"), ("sold", None)],
)
def test_action_of(word, action) -> None:
    assert action_of(word) == action


@pytest.mark.parametrize(
    ("cell", "ids"),
    [
        ("700001 700002", ["700001", "700002"]),
        (" 700001,700002 ", ["700001", "700002"]),
        ("700001 | 700002", ["700001", "700002"]),
        ("[700001, 700002]", ["700001", "700002"]),  # Python, JSON
        ("(700001, 700002)", ["700001", "700002"]),
        ("(700001,)", ["700001"]),
        ('["SKU-1", "SKU-2"]', ["SKU-1", "SKU-2"]),
        ("['a' 'b'\n 'c']", ["a", "b", "c"]),  # numpy
        ("[1 2]", ["1", "2"]),
        ("Red Boot, Blue Bag", ["Red Boot", "Blue Bag"]),
        ("['Red Boot', \"Kid's Bag\"]", ["Red Boot", "Kid's Bag"]),
        ("a,, |b", ["a", "b"]),
        ("a[1] b(2)", ["a[1]", "b(2)"]),
        ("\"a' b", ["\"a'", "b"]),
        ("[[7]]", ["[7]"]),
        ("[]", []),
        ("['']", []),
        ("[", ["["]),
        ("", []),
    ],
)
def test_result_ids(cell, ids) -> None:
    assert result_ids(cell) == ids


def test_lists_of_parquet(tmp_path) -> None:
    items = {"id": [7, 8], "title": ["A", "B"], "tags": [["red", None, "wool"], None], "sizes": [[38, 39], []]}
    pq.write_table(pa.table(items), tmp_path / "items.parquet")
    source = read_source(tmp_path / "items.parquet", list(items))
    found = items_of(source, "id", "title", {"tags": "tags", "sizes": "sizes"}, pd.Series(dtype=object), [])
    assert found.to_numpy().tolist() == [["7", "A", "red, wool", "38, 39"], ["8", "B", "", ""]]
    searches = {"user": ["u", "u"], "time": [1, 2], "query": ["a", "b"], "shown": [[7, None, 8], None]}
    pq.write_table(pa.table(searches), tmp_path / "searches.parquet")
    source = read_source(tmp_path / "searches.parquet", list(searches))
    assert searches_of(source, "user", "time", "query", "shown", [])[0]["results"].tolist() == [["7", "8"], []]


def test_in_catalogue() -> None:
    ids, catalogue, notes = pd.Series(["a", "z", "z", "y"]), pd.Series(["a", "b"]), []
    assert in_catalogue(ids, catalogue, "log.csv", True, notes).tolist() == [True, False, False, False]
    assert notes == ["log.csv: 3 rows with 2 ids not in the item table, first 'z'; left out"]
    with pytest.raises(UserError, match="first 'z'; complete the item table or add --drop-unknown-items"):
        in_catalogue(ids, catalogue, "log.csv", False, notes)


def test_time_note() -> None:
    day = pd.Series([0.0, 86_400.0])
    assert (
        time_note("log.csv", day, False) == "log.csv: times are numbers, kept as seconds, from 1970-01-01 to 1970-01-02"
    )
    assert time_note("log.csv", day * 1e9, False).endswith("they reach beyond 2100: milliseconds?")
    assert time_note("log.csv", day[:0], True) == "log.csv: no rows"


@pytest.mark.parametrize(
    ("times", "unit", "warned"),
    [
        ([20_240_101, 20_240_131], "s", True),  # days as numbers
        ([45_292, 45_322], "s", True),  # Excel's days
        ([1_706_659.2, 1_706_745.6], "ms", True),  # seconds that were read as milliseconds
        ([1.7, 1.8], "ns", True),
        ([0, 40_000_000], "s", False),
        ([1, 12_000], "s", False),  # an order
        ([1_706_659_200, 1_706_745_600], "s", False),
    ],
)
def test_times_in_1970(times: list[float], unit: str, warned: bool) -> None:
    text = f"warning: log.csv: all times lie in 1970, so they are probably no numbers of {unit}; "
    text += "write days as ISO dates, or set --time-unit" if unit == "s" else "check --time-unit"
    assert time_notes("log.csv", pd.Series(times, dtype=float), False, unit)[1:] == [text] * warned
    assert len(time_notes("log.csv", pd.Series(times, dtype=float), True)) == 1
