"""The small parts of a conversion: filters, derived searches, cells, by hand and by property."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.dataset_tools.convert.derived_queries import derive_searches, query_of
from recbole_llmfashion.dataset_tools.convert.events import EventChunk, SourceEvents, gather
from recbole_llmfashion.dataset_tools.convert.filters import day_range, in_core, repeats, spread_days
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_id, as_path, as_text
from recbole_llmfashion.errors import UserError

ROWS = st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.booleans(), st.integers(0, 3)))


def log(rows: list[tuple[str, str, bool, float]], chunk: int = 2) -> SourceEvents:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    arrays = [np.array(c, dtype=k) for c, k in zip(columns, (object, object, bool, float), strict=True)]
    parts = (EventChunk(*(a[i : i + chunk] for a in arrays)) for i in range(0, len(rows), chunk))
    return gather(parts, -np.inf, np.inf)[0]


@given(ROWS, st.integers(1, 5))
def test_gathered_chunks_are_the_log(rows: list, chunk: int) -> None:
    frame = log(rows, chunk).frame()
    said = [(u, i, "purchase" if p else "click", float(t)) for u, i, p, t in rows]
    assert list(frame.itertuples(index=False, name=None)) == said


@given(ROWS)
def test_repeats_are_the_rows_that_a_set_has_seen(rows: list) -> None:
    seen: set = set()
    expected = [row in seen or seen.add(row) is not None for row in rows]
    assert repeats(log(rows)).tolist() == expected


@given(ROWS, st.integers(1, 4))
def test_a_core_holds_and_is_the_largest(rows: list, k: int) -> None:
    left = list(range(len(rows)))
    while True:
        few = [
            i
            for i in left
            if min(sum(rows[j][side] == rows[i][side] for j in left) for side in (0, 1)) < k
        ]  # fmt: skip
        if not few:
            break
        left.remove(few[0])
    assert np.flatnonzero(in_core(log(rows), k)).tolist() == left


@given(ROWS)
def test_spread_days_keeps_the_file_order_within_a_day(rows: list) -> None:
    days = [(u, i, p, day * 86_400.0) for u, i, p, day in rows]
    seconds = spread_days(log(days)).seconds
    counts: dict[tuple[str, float], int] = {}
    for row, found in zip(days, seconds, strict=True):
        key = row[0], row[3]
        assert found == row[3] + counts.setdefault(key, 0)
        counts[key] += 1


def test_a_day_too_full_is_refused() -> None:
    full = log([("u", "a", True, 0.0)] * 86_400, chunk=86_400)
    with pytest.raises(UserError, match="user 'u' has more than 86,399 purchases on one day"):
        spread_days(full)


def test_days_are_included_at_both_ends() -> None:
    assert day_range("1970-01-02", "1970-01-02") == (86_400.0, 172_800.0)
    assert day_range(None, None) == (-np.inf, np.inf)


ITEMS = pd.DataFrame(
    [
        ["a", "Red Boots", "Clothing > Women > Women's Shoes > Boots"],
        ["b", "The Plain Wool Socks for Men, 3 Pairs", ""],
        ["c", "Hat", "Hats"],
        ["d", "2024 - 12", "Clothing > 2024"],
    ],
    columns=["item_id", "title", "category"],
)


@pytest.mark.parametrize(
    ("category", "title", "expected"),
    [
        ("Clothing > Women > Women's Shoes > Boots", "x", "women women's shoes boots"),
        ("A > Shoes > Boots & Shoes", "x", "boots shoes"),
        ("", "The Plain Wool Socks for Men, 3 Pairs", "plain wool socks men"),
        ("Hats", "x", "hats"),
        ("A > 2024", "Red red hat", "red hat"),
        ("", "", ""),
        ("A > Größe > حذاء", "x", "größe حذاء"),
    ],
)
def test_the_words_of_a_query(category: str, title: str, expected: str) -> None:
    assert query_of(category, title) == expected


def actions(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).astype({"timestamp": float})


def test_derived_searches_by_hand() -> None:
    rows = actions(("u", "a", 10), ("u", "b", 10), ("u", "c", 11), ("u", "d", 100), ("u", "a", 200), ("v", "a", 300))
    found, without = derive_searches(rows, ITEMS, 0.0)
    # before 11 stands b, the last of moment 10; before 200 stands d, which has no words; v has one moment
    assert found.to_numpy().tolist() == [["u", 10.5, "plain wool socks men", ""], ["u", 99.0, "hats", ""]]
    assert without == 1


def test_one_day_is_one_moment_where_the_log_knows_days_alone() -> None:
    rows = actions(("u", "a", 0), ("u", "b", 1), ("u", "c", 2), ("u", "a", 86_400), ("u", "b", 86_401))
    assert derive_searches(rows, ITEMS, 86_400.0)[0].to_numpy().tolist() == [["u", 86_399.0, "hats", ""]]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6)), min_size=2, max_size=8), st.data())
def test_no_derived_search_knows_what_comes_after_it(events: list[tuple[str, int]], data: st.DataObject) -> None:
    """Replacing every item from a moment on changes no search up to it: neither its words, its time nor its being."""
    events = sorted(events, key=lambda event: event[1])
    cut = data.draw(st.sampled_from(events))[1]
    other = [(data.draw(st.sampled_from("abc")) if time >= cut else item, time) for item, time in events]
    first, second = (
        derive_searches(actions(*(("u", item, time) for item, time in one)), ITEMS, 0.0)[0] for one in (events, other)
    )
    pd.testing.assert_frame_equal(first[first["timestamp"] < cut], second[second["timestamp"] < cut])
    times = {time for _, time in events}
    for time, query in first[["timestamp", "query"]].itertuples(index=False):
        assert time not in times
        last = [item for item, when in events if when < time][-1]
        assert query == query_of(*ITEMS.set_index("item_id").loc[last, ["category", "title"]])


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(alphabet=st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(JSON)
def test_any_value_is_a_cell_that_a_file_can_hold(value: object) -> None:
    for text in (as_text(value), as_path(value), as_id(value) or ""):
        text.encode("utf-8")
        assert text == text.strip()
    # ids with white space are renamed as one, later, for two of them must not become equal
    assert not set(as_text(value) + as_path(value)) & set("\t\r\n\0")
