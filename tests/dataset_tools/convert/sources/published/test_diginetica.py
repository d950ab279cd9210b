"""`convert diginetica` on hand-written lines of the published tables."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries
from recbole_llmfashion.dataset_tools.convert.sources.published.diginetica import Diginetica, DigineticaFiles
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, rows

MAY_9 = 1_462_752_000.0
VIEWS = """sessionId;userId;itemId;timeframe;eventdate
1;NA;81766;526309;2016-05-09
1;NA;31331;1031018;2016-05-09
2;55;32118;243569;2016-05-09
2;55;9654;75848;2016-05-09
2;55;777;75849;2016-05-09
"""
PURCHASES = """sessionId;userId;timeframe;eventdate;ordernumber;itemId
1;NA;1100000;2016-05-09;50;81766
1;NA;1100000;2016-05-09;50;81766
2;55;400000;2016-05-10;51;9654
3;NA;400000;2016-05-10;52;9654
"""
QUERIES = """queryId;sessionId;userId;timeframe;duration;eventdate;searchstring.tokens;categoryId;items;is.test
1;1;NA;500000;300;2016-05-09;16655,244087,1361;0;81766,31331,9999,9654,31331,1,2,3,4;FALSE
2;2;55;1000;300;2016-05-09;NA;35;9654,32118;FALSE
3;2;55;2000;300;2016-05-09;;35;9654;TRUE
4;2;55;3000;300;2016-05-09;7;0;;TRUE
5;3;NA;3000;300;2016-05-10;8;0;9654;TRUE
"""
PRODUCTS = """itemId;pricelog2;product.name.tokens
81766;10;4875,776,56689,776
31331;12;1361
32118;0;
9654;8;244087,1361
9654;8;5
"""
CATEGORIES = "itemId;categoryId\n81766;0\n31331;999\n9654;1096\n"
TEXTS = {"views": VIEWS, "purchases": PURCHASES, "queries": QUERIES, "products": PRODUCTS, "categories": CATEGORIES}
NAMES = {
    "views": "train-item-views.csv",
    "purchases": "train-purchases.csv",
    "queries": "train-queries.csv",
    "products": "products.csv",
    "categories": "product-categories.csv",
}


def convert(folder: Path, broken: float = 0.01, **changes: Any) -> tuple[AtomicFolder, str]:
    texts = TEXTS | {key: changes.pop(key) for key in TEXTS if key in changes}
    for key, text in texts.items():
        (folder / NAMES[key]).write_text(text)
    files = DigineticaFiles(*(folder / NAMES[field.name] for field in fields(DigineticaFiles)))
    _, notes = convert_source(Diginetica(files, broken), ConvertSettings(folder / "shop", **changes))
    return check_readme(folder / "shop"), "\n".join(notes)


def test_conversion(tmp_path: Path) -> None:
    found, notes = convert(tmp_path)
    assert rows(found.interactions) == [
        ["s1", "81766", "click", MAY_9 + 526.309],
        ["s1", "31331", "click", MAY_9 + 1031.018],
        ["s1", "81766", "purchase", MAY_9 + 1100],
        ["55", "9654", "click", MAY_9 + 75.848],
        ["55", "9654", "purchase", MAY_9 + 86_400 + 400],
    ]
    assert rows(found.items) == [
        ["81766", "w4875 w776 w56689", "", "", "", "category-0"],
        ["31331", "w1361", "", "", "", "category-999"],
        ["9654", "w244087 w1361", "", "", "", "category-1096"],
    ]
    # of the first eight items shown those of the catalogue; session 3 has one action only
    assert rows(found.searches) == [
        ["s1", MAY_9 + 500, "w16655 w244087 w1361", "81766 31331 9654 31331"],
        ["55", MAY_9 + 3, "w7", ""],
    ]
    assert "train-item-views.csv: 5 views" in notes and "train-purchases.csv: 4 purchases" in notes
    assert "action and time left out: 1" in notes
    assert "left out 1 products without a name and 1 repeated ones" in notes
    assert "2 actions with 2 items that have no title in the catalogue left out" in notes
    assert "queries without words left out: 2" in notes
    assert "search results that are not in the catalogue left out: 4" in notes
    assert "hashed words, each w and its number" in (tmp_path / "shop/README.md").read_text()


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    bad = [
        "1;NA;81766;x;2016-05-09",
        "1;NA;81766;5;2016-13-09",
        "NA;NA;81766;5;2016-05-09",
        "1;NA;;5;2016-05-09",
        "1;2",
    ]
    found, notes = convert(tmp_path, 0.6, views=VIEWS + "\n".join(bad) + "\n", queries=QUERIES + "6;NA;;1;1;;7;0;;T\n")
    assert rows(found.interactions) == rows(convert(tmp_path)[0].interactions)
    assert "2 lines left out: expected eventdate as 2016-05-09 and timeframe in milliseconds" in notes
    assert "train-item-views.csv: 2 lines left out: no sessionId or no itemId" in notes
    assert "train-queries.csv: 1 lines left out: no sessionId, or expected eventdate" in notes


def test_further_columns(tmp_path: Path) -> None:
    convert(tmp_path)
    files = DigineticaFiles(*(tmp_path / NAMES[field.name] for field in fields(DigineticaFiles)))
    source = Diginetica(files, further={"price": "pricelog2", "number": "itemId"})
    convert_source(source, ConvertSettings(tmp_path / "x"))
    assert rows(check_readme(tmp_path / "x").items[["price", "number"]]) == [
        [10.0, "81766"],
        [12.0, "31331"],
        [8.0, "9654"],
    ]
    with pytest.raises(UserError, match=r"products\.csv: no column 'price'"):
        Diginetica(files, further={"price": "price"})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"views": VIEWS.replace(";", ",")}, "train-item-views.csv: expected columns separated by semicolons, found ','"),
    ({"purchases": VIEWS.replace("itemId", "item")}, "train-purchases.csv: no column 'itemId'"),
    ({"queries": PRODUCTS}, "train-queries.csv: no column 'sessionId'"),
    ({"products": ""}, "products.csv: no header line"),
    ({"categories": PRODUCTS}, "product-categories.csv: no column 'categoryId'"),
    ({"views": VIEWS.splitlines()[0] + "\n"}, "train-item-views.csv: no lines"),
    ({"views": VIEWS.replace("2016-05-09", "9.5.2016")}, "train-item-views.csv: 5 of 5 lines are broken"),
    ({"queries_": DerivedQueries.category}, "--queries: expected none for a log with searches"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=[text for _, text in REFUSED])
def test_errors(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    folder = tmp_path / "shop"
    texts = TEXTS | {key: text for key, text in changes.items() if key in TEXTS}
    for key, text in texts.items():
        (tmp_path / NAMES[key]).write_text(text)
    with pytest.raises(UserError) as caught:
        source = Diginetica(DigineticaFiles(*(tmp_path / NAMES[field.name] for field in fields(DigineticaFiles))))
        convert_source(source, ConvertSettings(folder, queries=changes.get("queries_", DerivedQueries.none)))
    assert expected in str(caught.value) and "\n" not in str(caught.value) and not folder.exists()
