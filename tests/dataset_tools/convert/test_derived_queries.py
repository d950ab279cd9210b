import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.dataset_tools.convert.derived_queries import derive_searches, query_of

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
def test_query_of(category: str, title: str, expected: str) -> None:
    assert query_of(category, title) == expected


def actions(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).astype({"timestamp": float})


def test_derive_searches() -> None:
    rows = actions(("u", "a", 10), ("u", "b", 10), ("u", "c", 11), ("u", "d", 100), ("u", "a", 200), ("v", "a", 300))
    found, without = derive_searches(rows, ITEMS, 0.0)
    # before 11 is b, the last of moment 10; before 200 is d, which has no words; v has one moment
    assert found.to_numpy().tolist() == [["u", 10.5, "plain wool socks men", ""], ["u", 99.0, "hats", ""]]
    assert without == 1


def test_derive_searches_of_a_log_with_days() -> None:
    rows = actions(("u", "a", 0), ("u", "b", 1), ("u", "c", 2), ("u", "a", 86_400), ("u", "b", 86_401))
    assert derive_searches(rows, ITEMS, 86_400.0)[0].to_numpy().tolist() == [["u", 86_399.0, "hats", ""]]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6)), min_size=2, max_size=8), st.data())
def test_derived_searches_do_not_depend_on_later_items(events: list[tuple[str, int]], data: st.DataObject) -> None:
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
