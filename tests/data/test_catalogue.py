import pandas as pd
import pytest

from recbole_llmfashion.data.catalogue import Catalogue, check_attributes
from recbole_llmfashion.errors import UserError

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


def test_attributes_that_prompts_show():
    items = ITEMS.assign(material=["", "leather"], price=[12.0, float("nan")], fit=["a b", ""])
    catalogue = Catalogue.from_frame(items, ["material", "brand", "price"])
    assert list(catalogue.attributes) == ["category", "brand", "color", "size", "material", "price"]
    assert catalogue.attributes["material"] == ("", "leather") and catalogue.attributes["price"] == ("12", "")
    # the text models read the four attributes whatever prompts show
    assert [catalogue.attribute_text(position) for position in (0, 1)] == ["shoes 8", "shoes Vela red"]


COLUMNS = {
    "item_id": "token", "title": "token", "brand": "token", "season": "token", "fit": "token_seq", "price": "float",
    "vector": "float_seq",
}  # fmt: skip


def test_attributes_that_exist():
    check_attributes(["brand", "season", "fit", "price"], COLUMNS, "shoes")
    for name in ("material", "title", "item_id", "vector", "Season", ""):
        with pytest.raises(
            UserError, match=f"^prompt_attributes: .*shoes.item, that is brand, season, fit, price, found '{name}'$"
        ):
            check_attributes(["brand", name], COLUMNS, "shoes")


def test_positions():
    positions = Catalogue.from_frame(ITEMS).positions(pd.Series(["a", "b", "a"], index=[7, 8, 9]))
    assert positions.tolist() == [1, 0, 1] and positions.dtype == "int64"


def test_attribute_text():
    catalogue = Catalogue.from_frame(ITEMS)
    assert [catalogue.attribute_text(position) for position in (0, 1)] == ["shoes 8", "shoes Vela red"]
