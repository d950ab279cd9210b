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
    assert catalogue.empty_attributes() == []
    assert Catalogue.from_frame(ITEMS.assign(fit=["", " "], color=""), ["fit"]).empty_attributes() == ["color", "fit"]


COLUMNS = {
    "item_id": "token", "title": "token", "brand": "token", "season": "token", "fit": "token_seq", "price": "float",
    "vector": "float_seq",
}  # fmt: skip


def test_attributes_that_exist():
    check_attributes(["brand", "season", "fit", "price"], COLUMNS, "shoes")
    expected = "expected attributes of shoes.item, that is brand, season, fit, price"
    for name in ("material", "title", "item_id", "vector", "Season", ""):
        found = name.replace("vector", "vector:float_seq")
        with pytest.raises(UserError, match=f"^prompt_attributes: {expected}, found '{found}'$"):
            check_attributes(["brand", name], COLUMNS, "shoes")
    with pytest.raises(UserError, match=f"^recformer_attributes: {expected}, found 'title'$"):
        check_attributes(["title"], COLUMNS, "shoes", "recformer_attributes")


def test_positions():
    positions = Catalogue.from_frame(ITEMS).positions(pd.Series(["a", "b", "a"], index=[7, 8, 9]))
    assert positions.tolist() == [1, 0, 1] and positions.dtype == "int64"
