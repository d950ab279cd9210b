"""Canaries in a copy of a dataset: where they are, what is left out, and that nothing else changes."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.canaries import CANARIES, Canary, Planted, read_canaries
from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, empty_searches, read_folder
from recbole_llmfashion.dataset_tools.plant.planting import PlantSettings, plant
from recbole_llmfashion.dataset_tools.plant.write import write
from recbole_llmfashion.errors import UserError

SETTINGS = PlantSettings(counts=(1, 3), canaries=2, candidates=4, left_out=5, seed=3)


def shop(users=20, actions=6):
    """Customers with a click each ten seconds, the last a purchase, and a search before the third."""
    rows, searches = [], []
    for user in range(users):
        for step in range(actions):
            kind = "purchase" if step == actions - 1 else "click"
            rows.append((f"u{user}", f"i{(user + step) % 7}", kind, 100.0 * user + 10 * step))
        searches.append((f"u{user}", 100.0 * user + 15, "red boots", "i1 i2"))
    items = {"item_id": [f"i{i}" for i in range(7)], "title": [f"Boots {i}" for i in range(7)]}
    attributes = dict.fromkeys(("brand", "color", "size", "category"), ["x"] * 7)
    return AtomicFolder(
        "shop",
        Path("shop"),
        pd.DataFrame(rows, columns=["user_id", "item_id", "action", "timestamp"]),
        pd.DataFrame(searches, columns=empty_searches().columns),
        pd.DataFrame({**items, **attributes}),
    )


def test_rows_products_and_customers(tmp_path):
    source = shop()
    copy, fresh, planted = plant(source, tmp_path / "copy", SETTINGS)
    check_clean(copy)
    assert copy.name == "copy" and fresh.name == planted.held_out == "copy_held_out"
    assert [one.count for one in planted.canaries] == [0, 0, 1, 1, 3, 3] and len(planted.candidates) == 4
    users, others = set(copy.interactions["user_id"]), set(fresh.interactions["user_id"])
    assert len(users) == 15 and len(others) == 5 and users | others == set(source.interactions["user_id"])
    clicks = Counter(copy.interactions["item_id"])
    typed = Counter(copy.searches["query"])
    for one in (*planted.canaries, *planted.candidates):
        assert clicks[one.item] == typed[one.query] == one.count
        assert one.title in copy.items["title"].tolist() and one.item in copy.items["item_id"].tolist()
    # without the planted rows, the rows are those of the source
    rest = copy.interactions[~copy.interactions["item_id"].isin(planted.items)].reset_index(drop=True)
    expected = source.interactions[source.interactions["user_id"].isin(users)].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, expected)
    assert len(copy.items) == len(fresh.items) == 7 + 10


def test_a_canary_is_between_the_first_two_actions(tmp_path):
    copy, _, planted = plant(shop(), tmp_path / "copy", SETTINGS)
    for user, rows in copy.interactions.groupby("user_id"):
        at = rows["item_id"].isin(planted.items).tolist()
        assert at.count(True) <= 1 and (True not in at or at.index(True) == 1)
        if True in at:
            first, click, second = rows["timestamp"].tolist()[:3]
            searches = copy.searches[copy.searches["user_id"] == user]
            search = searches[searches["results"].isin(planted.items)]["timestamp"].item()
            assert first < search < click < second and (search, click) == (first + 1, first + 2)


def test_files_and_the_same_bytes(tmp_path):
    source = shop()
    for name in ("one", "two"):
        copy, fresh, planted = plant(source, tmp_path / name / "copy", SETTINGS)
        write(copy, fresh, planted, source, "the command")
        assert read_canaries(tmp_path / name / "copy" / CANARIES) == Planted(
            list(planted.canaries), list(planted.candidates), planted.held_out, 3
        )
        assert "2 of 1, 2 of 3" in (tmp_path / name / "copy/README.md").read_text()
        assert len(read_folder(tmp_path / name / "copy_held_out").interactions) == 30
    for path in sorted((tmp_path / "one").rglob("*.*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"counts": ()}, "--counts"),
        ({"counts": (1, 1)}, "--counts"),
        ({"counts": (0,)}, "--counts"),
        ({"left_out": 11}, "more than half"),
        ({"canaries": 9}, "36 customers are needed, and 15"),
    ],
)
def test_what_cannot_be_planted(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        plant(shop(), tmp_path, PlantSettings(**{"counts": (1, 3), "canaries": 2, "left_out": 5, **settings}))


def test_without_searches_a_canary_is_a_pair_of_purchases(tmp_path):
    source = shop()
    bare = AtomicFolder("shop", source.path, source.interactions, empty_searches(), source.items)
    copy, fresh, planted = plant(bare, tmp_path / "copy", SETTINGS)
    check_clean(copy)
    taken = Counter(copy.interactions["item_id"])
    products = set(copy.items["item_id"])
    for one in (*planted.canaries, *planted.candidates):
        assert one.query == "" and taken[one.before] == taken[one.item] == one.count
        assert {one.before, one.item} <= products
    assert len(planted.items) == 2 * 10 and len(copy.items) == len(fresh.items) == 7 + 20
    after = {one.before: one.item for one in planted.canaries}
    for _, rows in copy.interactions.groupby("user_id"):
        at = [place for place, item in enumerate(rows["item_id"]) if item in planted.items]
        assert at in ([], [1, 2])  # behind the first action
        if at:
            assert after[rows["item_id"].iloc[1]] == rows["item_id"].iloc[2]
            assert rows["action"].iloc[1] == rows["action"].iloc[2] == "purchase"
            assert rows["timestamp"].is_monotonic_increasing and rows["timestamp"].is_unique
    assert copy.searches.empty and fresh.searches.empty
    write(copy, fresh, planted, bare, "the command")
    assert read_canaries(tmp_path / "copy" / CANARIES).canaries == list(planted.canaries)
    assert "bought the first and then the second product: 2 of 1, 2 of 3" in (tmp_path / "copy/README.md").read_text()


def listed(**changed):
    """A list of one canary and one candidate."""
    canary = {"query": "a", "item": "1", "title": "A", "count": 2}
    content = {"format": 1, "canaries": [canary | changed], "candidates": [canary], "held_out": "", "seed": 1}
    return json.dumps(content)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "canaries": [{"query": 1}], "candidates": []}',
        listed(query=""),
        listed(before="3"),
        listed(title=""),
        listed(count=-1),
    ],
)
def test_a_list_that_is_none(tmp_path, text):
    (tmp_path / CANARIES).write_text(listed())
    assert read_canaries(tmp_path / CANARIES).items == {"1"}
    (tmp_path / CANARIES).write_text(text)
    with pytest.raises(UserError, match="is no list of canaries"):
        read_canaries(tmp_path / CANARIES)
    with pytest.raises(UserError, match="cannot be read"):
        read_canaries(tmp_path / "other.json")


def test_the_items_of_a_list():
    assert Planted([Canary("a", "1", "A", 2)], [Canary("b", "2", "B")], "", 1).items == {"1", "2"}
    assert Planted([Canary("", "1", "A", 2, "3")], [Canary("", "2", "B", 0, "4")], "", 1).items == set("1234")
