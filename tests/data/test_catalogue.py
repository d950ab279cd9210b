import pandas as pd

from recbole_llmfashion.data.catalogue import Catalogue

ITEMS = pd.DataFrame(
    {
        "item_id": ["b", "a"], "title": ["Boot", "Red shoe"], "brand": ["", "Vela"], "color": ["", "red"],
        "size": ["8", ""], "category": ["shoes", "shoes"],
    }
)  # fmt: skip


def test_from_frame():
    catalogue = Catalogue.from_frame(ITEMS)
    assert len(catalogue) == 2
    assert catalogue.item_ids == ("b", "a") and catalogue.titles == ("Boot", "Red shoe")
    assert catalogue.attributes == {
        "category": ("shoes", "shoes"), "brand": ("", "Vela"), "color": ("", "red"), "size": ("8", ""),
    }  # fmt: skip


def test_positions():
    positions = Catalogue.from_frame(ITEMS).positions(pd.Series(["a", "b", "a"], index=[7, 8, 9]))
    assert positions.tolist() == [1, 0, 1] and positions.dtype == "int64"


def test_attribute_text():
    catalogue = Catalogue.from_frame(ITEMS)
    assert [catalogue.attribute_text(position) for position in (0, 1)] == ["shoes 8", "shoes Vela red"]
