"""`--attribute NAME=COLUMN`: what is read, what is refused, and which columns are empty."""

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.dataset_tools.convert.attributes import empty_attributes, kept_columns, parse_attributes
from recbole_llmfashion.errors import UserError

REFUSED = [
    (["title"], "title is a column of every .item; use --title COL, or choose another name as NAME=COLUMN"),
    (["brand=maker"], "brand is a column of every .item; use --brand COL, or choose another name as NAME=COLUMN"),
    (["item_id=sku"], "item_id is a column of every .item; choose another name as NAME=COLUMN"),
    (["fabric", "fabric"], "expected each name once, found 'fabric' again; leave one out"),
    (["fabric=a", "fabric=b"], "expected each name once, found 'fabric' again; leave one out"),
    (["my fit"], "expected a name of letters, digits and _, found 'my fit'; write NAME=my fit"),
    (["fit|cut=Fit"], "expected a name of letters, digits and _, found 'fit|cut'; write NAME=Fit"),
    (["a:token=b"], "expected a name of letters, digits and _, found 'a:token'; write NAME=b"),
    (["2nd=b"], "expected a name of letters, digits and _, found '2nd'; write NAME=b"),
    (["a\tb"], r"expected a name of letters, digits and _, found 'a\tb'; write NAME=a\tb"),
    ([""], "expected a name of letters, digits and _, found ''; write NAME=COLUMN"),
    (["=b"], "expected a name of letters, digits and _, found ''; write NAME=b"),
    (["fabric="], "expected NAME=COLUMN, found 'fabric=' without a column"),
    (["prices=p"], "prices is too similar to price, a column of .item; choose another name"),
]


def test_names_and_columns() -> None:
    assert parse_attributes([]) == {}
    assert parse_attributes(["fabric", "cut=Fit / Cut", "größe=a=b", "season=s", "price=p"]) == {
        "fabric": "fabric",
        "cut": "Fit / Cut",
        "größe": "a=b",
        "season": "s",
        "price": "p",
    }


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_cannot_be_kept(options: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_attributes(options, ("title", "brand"))
    assert str(caught.value) == f"--attribute: {message}"


def test_empty_attributes() -> None:
    items = pd.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"], "brand": "", "fit": "", "price": np.nan})
    items["pattern"] = ["", "dots"]
    assert empty_attributes(items) == ["fit", "price"]
    assert kept_columns(items, ("fit", "pattern")).columns.tolist() == ["item_id", "title", "brand", "price", "pattern"]
