"""Items that are added and removed while a run is served: three items, vectors of size two."""

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.item_pool import ItemPool, read_items
from recbole_llmfashion.retrieval.rankers import Encoders

TEXTS = {
    "category": ("boots", "", "hats"),
    "brand": ("Norda", "Vela", ""),
    "color": ("", "", ""),
    "size": ("8", "", ""),
}
UNIT = {
    "Red Boots": (1.0, 0.0),
    "Blue Bag": (0.0, 1.0),
    "Hat": (-1.0, 0.0),
    "Crimson Boots": (0.8, 0.6),
    "Navy Bag": (0.6, 0.8),
}


def encode(titles):
    return np.asarray([UNIT[title] for title in titles], np.float32)


def clip(titles):
    return 2 * encode(titles)


def sentences(titles):
    return 3 * encode(titles)


ENCODERS = Encoders(encode, clip, sentences)


def pool_of(**changes):
    titles = ("Red  Boots", "Blue Bag", "Hat")
    fields = {
        "catalogue": Catalogue(("A", "B", "C"), titles, dict(TEXTS)),
        "live": np.ones(3, bool),
        "popularity": np.array([4, 0, 2]),
        "title": encode(["Red Boots", "Blue Bag", "Hat"]),
        "core": np.array([[10, 11], [20, 21], [30, 31]], np.float32),
        "clip": clip(["Red Boots", "Blue Bag", "Hat"]),
        "sentences": sentences(["Red Boots", "Blue Bag", "Hat"]),
    }
    return ItemPool(**fields | changes)


def frame_of(**rows):
    return pd.DataFrame([{"item_id": item, "title": title} for item, title in rows.items()])


def refused(message, work, *arguments):
    with pytest.raises(UserError, match=message) as error:
        work(*arguments)
    assert "\n" not in str(error.value)


def test_positions_and_clean_titles():
    pool = pool_of()
    assert pool.positions == {"A": 0, "B": 1, "C": 2}
    assert pool.titles == ["Red Boots", "Blue Bag", "Hat"]


def test_removed_items_keep_their_row():
    pool = pool_of()
    less = pool.without(["C", "A", "C"])
    assert less.live.tolist() == [False, True, False] and pool.live.all()
    assert less.catalogue is pool.catalogue and less.title is pool.title and less.positions["C"] == 2


def test_items_that_cannot_be_removed():
    pool = pool_of().without(["A"])
    refused("remove: no item 'A'; it was removed before", pool.without, ["A"])
    refused("remove: no item 'D'; no id is", pool.without, ["D"])
    refused("remove: no item would be left; add others first", pool.without, ["B", "C"])
    for ids in ("B", b"B", 3):
        refused("remove: expected a list of item ids", pool.without, ids)
    assert pool.live.tolist() == [False, True, True]


def test_a_typo_is_answered_with_a_live_item():
    names = ("boots-1", "boots-2", "C")
    pool = pool_of(catalogue=Catalogue(names, ("Red Boots", "Blue Bag", "Hat"), dict(TEXTS))).without(["boots-1"])
    refused("remove: no item 'boots-'; did you mean 'boots-2'", pool.without, ["boots-"])


def test_new_items_get_the_next_positions():
    pool = pool_of()
    more = pool.with_items(frame_of(D="Crimson  Boots"), ENCODERS)
    assert more.catalogue.item_ids == ("A", "B", "C", "D") and more.catalogue.titles[3] == "Crimson  Boots"
    assert more.titles[3] == "Crimson Boots" and more.catalogue.attributes["brand"] == ("Norda", "Vela", "", "")
    assert more.live.tolist() == [True] * 4 and more.popularity.tolist() == [4, 0, 2, 0]
    assert more.title[3].tolist() == pytest.approx([0.8, 0.6]) and more.clip[3].tolist() == pytest.approx([1.6, 1.2])
    assert more.sentences[3].tolist() == pytest.approx([2.4, 1.8]) and len(more.sentences) == 4
    assert more.core.tolist() == [[10, 11], [20, 21], [30, 31], [10, 11]]  # the row of Red Boots, the closest title
    assert len(pool.catalogue) == len(pool.title) == 3


def test_core_of_a_new_item_is_that_of_a_live_one():
    """Red Boots is closest and removed, so Blue Bag is next."""
    more = pool_of().without(["A"]).with_items(frame_of(D="Crimson Boots"), ENCODERS)
    assert more.core[3].tolist() == [20, 21] and more.live.tolist() == [False, True, True, True]
    # Blue Bag is closest and removed, so Red Boots is next, and Hat has the place of Blue Bag among the live ones
    more = pool_of().without(["B"]).with_items(frame_of(D="Navy Bag"), ENCODERS)
    assert more.core[3].tolist() == [10, 11]


def test_a_removed_item_that_is_added_again_has_its_position_and_its_new_texts():
    less = pool_of().without(["A"])
    frame = pd.DataFrame([{"item_id": "A", "title": "Crimson Boots", "brand": None, "size": 9}])
    again = less.with_items(frame, ENCODERS)
    assert again.positions == {"A": 0, "B": 1, "C": 2} and again.live.all()
    assert again.catalogue.titles == ("Crimson Boots", "Blue Bag", "Hat")
    assert {name: texts[0] for name, texts in again.catalogue.attributes.items()} == {
        "category": "", "brand": "", "color": "", "size": "9",
    }  # fmt: skip
    assert again.core[0].tolist() == [10, 11]  # what CORE trained
    assert again.title[0].tolist() == pytest.approx([0.8, 0.6]) and again.popularity.tolist() == [4, 0, 2]
    assert less.title[0].tolist() == [1.0, 0.0]


def test_new_and_returning_items_together():
    more = pool_of().without(["B"]).with_items(frame_of(D="Crimson Boots", B="Blue Bag"), ENCODERS)
    assert more.positions == {"A": 0, "B": 1, "C": 2, "D": 3} and more.live.all()
    assert more.core.tolist() == [[10, 11], [20, 21], [30, 31], [10, 11]]


def test_a_run_without_core_and_clip():
    more = pool_of(core=None, clip=None, sentences=None).with_items(frame_of(D="Crimson Boots"), Encoders(encode))
    assert more.core is None and more.clip is None and more.sentences is None and len(more.title) == 4


def test_an_item_that_is_live_already():
    refused("add: item 'B' exists; remove it first", pool_of().with_items, frame_of(D="Hat", B="Hat"), ENCODERS)


def test_texts_of_a_frame():
    frame = pd.DataFrame([{"item_id": 7, "title": "Hat", "color": float("nan"), "size": 38}])
    assert read_items(frame) == {"7": {"title": "Hat", "category": "", "brand": "", "color": "", "size": "38"}}
    read = read_items(frame[["item_id", "title", "size"]].assign(price=[19.0], weight=1), ("size", "price", "weight"))
    assert read == {"7": {"title": "Hat", "size": "38", "price": "19", "weight": "1"}}


@pytest.mark.parametrize("kind", ["float32", "Float32", "float64"])
def test_a_number_is_written_as_in_its_column(kind):
    frame = pd.DataFrame({"item_id": ["a", "b", "c"], "title": "x", "price": pd.Series([9.99, 12, None], dtype=kind)})
    assert [row["price"] for row in read_items(frame, ["price"]).values()] == ["9.99", "12", ""]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "add: expected a frame with the columns item_id and title"),
        ([{"item_id": "A"}], "add: expected a frame with the columns item_id and title"),
        ([{"item_id": "", "title": "x"}], "expected an item_id without white space or comma, found ''"),
        ([{"item_id": "A B", "title": "x"}], "expected an item_id without white space or comma, found 'A B'"),
        ([{"item_id": "A,B", "title": "x"}], "expected an item_id without white space or comma, found 'A,B'"),
        ([{"item_id": "A", "title": "x"}] * 2, "item 'A' again"),
        ([{"item_id": "A", "title": " "}], "item 'A' has no title"),
        ([{"item_id": "A", "title": None}], "item 'A' has no title"),
        ([{"item_id": "A", "title": ["x"]}], "add: expected texts in the cells, found a list"),
        ([{"item_id": "A", "title": "\udcff"}], "is not valid Unicode text"),
        (
            [{"item_id": "A", "title": "x", "size": "7", "Farbe": "rot"}],
            "add: unknown field 'Farbe'; an item of this run has item_id, title, category, brand, color, size",
        ),
        ([{"item_id": "A", "title": "x", 3: "y"}], "add: unknown field '3'; an item of this run has item_id, title,"),
    ],
)
def test_frames_that_are_refused(rows, message):
    refused(message, read_items, pd.DataFrame(rows))


def test_a_frame_without_rows():
    refused("add: the frame has no row", read_items, pd.DataFrame({"item_id": [], "title": []}))
    refused("add: expected a frame", read_items, [{"item_id": "A", "title": "x"}])
