"""`convert rent-the-runway` and `convert modcloth` on hand-written lines with every field of the published files."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.sources.published.clothing_fit import (
    MODCLOTH,
    RENT_THE_RUNWAY,
    ClothingFit,
    Shop,
    day_of,
)
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, invoke, rows

AUG_29, AUG_30 = 1_503_964_800.0, 1_504_051_200.0


def rental(user: Any, item: Any, date: Any, **changes: Any) -> dict[str, Any]:
    """A line of renttherunway_final_data.json, every field of it."""
    return {
        "fit": "fit",
        "user_id": user,
        "bust size": "36b",
        "item_id": item,
        "weight": "155lbs",
        "rating": "10",
        "rented for": "wedding",
        "review_text": "This dress was wonderful!",
        "body type": "athletic",
        "review_summary": "I wore this to a beautiful black tie optional wedding in Boston.",
        "category": "gown",
        "height": "5' 6\"",
        "size": 16,
        "age": "30",
        "review_date": date,
    } | changes


def purchase(user: Any, item: Any, **changes: Any) -> dict[str, Any]:
    """A line of modcloth_final_data.json, its usual fields."""
    return {
        "item_id": item,
        "waist": "29",
        "size": 7,
        "quality": 5,
        "cup size": "d",
        "hips": "38",
        "bra size": "34",
        "category": "new",
        "bust": "36",
        "height": "5ft 6in",
        "user_name": "Emily",
        "length": "just right",
        "fit": "small",
        "user_id": user,
    } | changes


RENTALS = [
    rental("7", "20", "August 30, 2017", **{"rented for": "party: cocktail"}),
    rental("7", "10", "August 29, 2017"),
    rental("7", "30", "August 29, 2017", category="romper"),
    rental("7", "30", "August 29, 2017", category="romper", rating="8"),  # the same rental again
    rental("8", "30", "August 29, 2017", category="romper"),
    rental("8", "10", "August 30, 2017"),
    rental("9", "10", "August 30, 2017", fit="small", size=4, **{"rented for": None}),  # one review only
]


def convert(folder: Path, records: list[Any], shop: Shop = RENT_THE_RUNWAY, **options: Any) -> tuple[AtomicFolder, str]:
    path = folder / "reviews.json"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in records))
    source = ClothingFit(path, shop, options.pop("max_broken", 0.01))
    _, notes = convert_source(source, ConvertSettings(folder / "shop", **options), source.describe)
    return check_readme(folder / "shop"), "\n".join(notes)


def test_rentals(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, RENTALS)
    assert rows(found.interactions) == [
        ["7", "10", "purchase", AUG_29],
        ["7", "30", "purchase", AUG_29 + 1],
        ["7", "20", "purchase", AUG_30],
        ["8", "30", "purchase", AUG_29],
        ["8", "10", "purchase", AUG_30],
    ]
    columns = ["item_id", "title", "size", "category", "occasion", "fit"]
    # the reviews of 20 and 30 are of users' last two actions; 10 has two others, of which the first decides
    assert rows(found.items[columns]) == [
        ["20", "gown 20", "", "gown", "", ""],
        ["10", "gown 10", "16", "gown", "wedding", "fit"],
        ["30", "romper 30", "", "romper", "", ""],
    ]
    assert found.item_types["occasion"] == found.item_types["fit"] == "token"
    assert "7 reviews of 3 items" in notes and "item, action and time left out: 1" in notes
    text = (tmp_path / "shop/README.md").read_text()
    assert "their true order is unknown" in text and "occasion 33.3%, fit 33.3%" in text


def test_the_order_of_a_user_on_modcloth_is_that_of_the_file(tmp_path: Path) -> None:
    lines = [purchase("7", "20"), purchase("8", "20"), purchase("7", "10"), purchase("7", "20"), purchase("8", "10")]
    found, _ = convert(tmp_path, lines, MODCLOTH)
    assert rows(found.interactions) == [
        ["7", "20", "purchase", 1.0],
        ["7", "10", "purchase", 3.0],
        ["7", "20", "purchase", 4.0],
        ["8", "20", "purchase", 2.0],
        ["8", "10", "purchase", 5.0],
    ]
    assert "occasion" not in found.items and "fit" in found.items
    assert "NO DATES" in (tmp_path / "shop/README.md").read_text()


DATES = [
    ("August 29, 2017", AUG_29),
    (" august 29, 2017 ", AUG_29),
    ("Aug. 29, 2017", AUG_29),
    ("January 1, 1970", 0.0),
    ("December 31, 1969", None),
    ("February 29, 2017", None),
    ("Foo 29, 2017", None),
    ("2017-08-29", None),
    ("August 29 2017", None),
    (1_503_964_800, None),
    (None, None),
]


@pytest.mark.parametrize(("text", "seconds"), DATES)
def test_dates(text: Any, seconds: float | None) -> None:
    assert day_of(text) == seconds


BROKEN = [
    "{not json",
    "[]",
    rental(None, "10", "August 29, 2017"),
    rental("a b", "10", "August 29, 2017"),
    rental("7", "1,0", "August 29, 2017"),
    rental("7", ["10"], "August 29, 2017"),
    rental("7", "10", "August 29, 2017", category=None),
    rental("7", "10", None),
    rental("7", "10", "29/08/2017"),
]


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, RENTALS + BROKEN, max_broken=0.6)
    assert rows(found.interactions) == rows(convert(tmp_path, RENTALS)[0].interactions)
    assert "2 lines left out: not a JSON object" in notes
    assert "4 lines left out: no user_id or item_id without white space and commas" in notes
    assert "1 lines left out: no category" in notes
    assert "2 lines left out: review_date: expected a day from 1970 on, as April 20, 2016" in notes


def test_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    for records, expected in (
        (BROKEN, "reviews.json: 9 of 9 lines are broken, more than --max-broken 0.01 allows: line 1 is the first"),
        ([purchase("7", "20"), purchase("7", "10")], "review_date: expected a day from 1970 on, as April 20, 2016"),
        ([], "reviews.json: no lines; is this the right file?"),
    ):
        with pytest.raises(UserError) as caught:
            convert(tmp_path, records)
        assert expected in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "shop").exists()


def test_further_fields(tmp_path: Path) -> None:
    convert(tmp_path, RENTALS)
    files = ["--reviews", str(tmp_path / "reviews.json"), "--out", str(tmp_path / "more")]
    invoke("rent-the-runway", *files, "--attribute", "body=body type", "--attribute", "price=rating")
    found = check_readme(tmp_path / "more")
    assert found.items["body"].tolist() == ["", "athletic", ""] and found.items["price"].tolist()[1] == 10.0
    with pytest.raises(UserError, match=r"--attribute price: expected a number .*, found 'athletic'; correct it"):
        invoke("rent-the-runway", *files[:3], str(tmp_path / "none"), "--attribute", "price=body type")
    assert not (tmp_path / "none").exists()


def test_gzip_and_the_commands(tmp_path: Path) -> None:
    convert(tmp_path, RENTALS)
    packed = tmp_path / "renttherunway_final_data.json.gz"
    packed.write_bytes(gzip.compress((tmp_path / "reviews.json").read_bytes()))
    invoke("rent-the-runway", "--reviews", str(packed), "--out", str(tmp_path / "gz/shop"))
    for suffix in ("inter", "item"):
        assert (tmp_path / f"gz/shop/shop.{suffix}").read_bytes() == (tmp_path / f"shop/shop.{suffix}").read_bytes()
    with pytest.raises(UserError, match="no such file; the nearest is"):
        invoke("modcloth", "--reviews", str(tmp_path / "reviews.jso"), "--out", str(tmp_path / "m"))
