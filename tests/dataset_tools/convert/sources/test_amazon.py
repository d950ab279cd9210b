"""`convert amazon-2023` on hand-written lines in the published schema: literal files, odd types, memory."""

import gzip
import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder
from recbole_llmfashion.dataset_tools.convert import events
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries
from recbole_llmfashion.dataset_tools.convert.readers import json_lines, text_lines
from recbole_llmfashion.dataset_tools.convert.sources.amazon import Amazon2023
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, invoke, rows

PATH = ["Clothing, Shoes & Jewelry", "Women", "Shoes", "Boots"]


def review(user: Any, item: Any, ms: Any, verified: Any = True, **changes: Any) -> dict[str, Any]:
    """A line of raw/review_categories/*.jsonl, every field of it."""
    return {
        "rating": 5.0,
        "title": "Such a lovely scent but not overpowering.",
        "text": "This spray is really nice. It smells really good, goes on really fine.",
        "images": [],
        "asin": "B00YQ6X8EO",
        "parent_asin": item,
        "user_id": user,
        "timestamp": ms,
        "helpful_vote": 0,
        "verified_purchase": verified,
    } | changes


def product(item: Any, title: Any, **changes: Any) -> dict[str, Any]:
    """A line of raw/meta_categories/meta_*.jsonl, every field of it."""
    return {
        "main_category": "AMAZON FASHION",
        "title": title,
        "average_rating": 4.8,
        "rating_number": 10,
        "features": [],
        "description": [],
        "price": None,
        "images": [{"thumb": "https://m.media-amazon.com/a.jpg", "large": None, "variant": "MAIN", "hi_res": None}],
        "videos": [],
        "store": "Norda",
        "categories": PATH,
        "details": {"Package Dimensions": "7.1 x 5.5 x 3 inches; 2.38 Pounds", "Color": "Red", "Size": "8"},
        "parent_asin": item,
        "bought_together": None,
    } | changes


REVIEWS = [
    review("AEU2", "B3", 1_588_687_728_923),
    review("AEU1", "B1", 1_588_615_855_070),
    review("AEU1", "B2", 1_588_615_856_000, verified=False),
    review("AEU1", "B2", 1_588_615_857_500),
    review("AEU2", "B1", 1_588_687_729_000),
    review("AEU1", "B2", 1_588_615_857_500, rating=1.0),  # the same purchase again
    review("AEU3", "B1", 1_600_000_000_000),  # one action only
]
PRODUCTS = [
    product("B2", "Vela Boots"),
    product("B1", "Norda  Red\tBoots", store=None, details='{"Colour": "Blue", "Brand": "Vela"}'),
    product("B3", "Plain Socks", categories=[], details={}, store="None"),
    product("B9", "Nobody's Hat"),
    product("B1", "another B1"),
]


def write_lines(path: Path, lines: Iterable[Any]) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    data = text.encode("utf-8", "surrogatepass")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def convert(
    folder: Path, reviews: Iterable[Any] = REVIEWS, products: Iterable[Any] = PRODUCTS, **options: Any
) -> tuple[AtomicFolder, str]:
    files = write_lines(folder / "r.jsonl", reviews), write_lines(folder / "meta_r.jsonl", products)
    source_options = {key: options.pop(key) for key in ("clicks", "max_broken", "further") if key in options}
    _, notes = convert_source(Amazon2023(*files, **source_options), ConvertSettings(folder / "shop", **options))
    return check_readme(folder / "shop"), "\n".join(notes)


def test_conversion(tmp_path: Path) -> None:
    found, notes = convert(tmp_path)
    assert rows(found.interactions) == [
        ["AEU2", "B3", "purchase", 1588687728.923],
        ["AEU2", "B1", "purchase", 1588687729.0],
        ["AEU1", "B1", "purchase", 1588615855.07],
        ["AEU1", "B2", "purchase", 1588615857.5],
    ]
    assert rows(found.items) == [
        ["B2", "Vela Boots", "Norda", "Red", "8", "Clothing, Shoes & Jewelry > Women > Shoes > Boots"],
        ["B1", "Norda Red Boots", "Vela", "Blue", "", "Clothing, Shoes & Jewelry > Women > Shoes > Boots"],
        ["B3", "Plain Socks", "", "", "", ""],
    ]
    assert len(found.searches) == 0
    assert "7 reviews, 1 not verified" in notes and "time left out: 1" in notes
    assert (
        "left out 0 products without a title and 1 repeated ones" in notes
        and "1 with fewer than two item actions" in notes
    )


def test_attributes_of_details(tmp_path: Path) -> None:
    """Known ones where a product has them; named ones in any case, and also where no product has them."""
    details: list[Any] = [
        {"Material ": "Leather", "FABRIC TYPE": "Wool", "Pattern": ["Dots", "Solid"], "Neck Style": "Crew"},
        '{"Fabric Type": "Wool", "Style": {"no": "text"}}',
        {"Department": None},
    ]
    products = [product(item, item, details=cell) for item, cell in zip(("B1", "B2", "B3"), details, strict=True)]
    found, notes = convert(tmp_path, products=products)
    assert found.further == {"material": "token", "pattern": "token"}
    assert found.items[["material", "pattern"]].values.tolist() == [["Leather", "Dots, Solid"], ["Wool", ""], ["", ""]]
    assert "empty for every item" not in notes
    further = {"neck": " neck STYLE", "material": "fabric type", "sole": "Sole Material"}
    found, notes = convert(tmp_path, products=products, further=further)
    assert found.further == dict.fromkeys(("material", "pattern", "neck", "sole"), "token")
    assert found.items[["material", "neck", "sole"]].values.tolist() == [
        ["Wool", "Crew", ""],
        ["Wool", "", ""],
        [""] * 3,
    ]
    assert "attributes that are empty for every item: sole" in notes.splitlines()


def test_unverified_reviews_are_clicks_behind_a_flag_and_all_items_behind_another(tmp_path: Path) -> None:
    found, _ = convert(tmp_path, clicks=True, all_items=True)
    assert rows(found.interactions)[3] == ["AEU1", "B2", "click", 1588615856.0]
    assert found.items["item_id"].tolist() == ["B2", "B1", "B3", "B9"]


def test_gzip_gives_the_same_bytes(tmp_path: Path) -> None:
    _, _ = convert(tmp_path)
    files = write_lines(tmp_path / "r.jsonl.gz", REVIEWS), write_lines(tmp_path / "meta_r.jsonl.gz", PRODUCTS)
    (tmp_path / "gz").mkdir()
    convert_source(Amazon2023(*files), ConvertSettings(tmp_path / "gz" / "shop"))
    for suffix in ("inter", "item"):
        assert (tmp_path / "gz/shop" / f"shop.{suffix}").read_bytes() == (tmp_path / f"shop/shop.{suffix}").read_bytes()
    (tmp_path / "r.jsonl.gz").write_bytes((tmp_path / "r.jsonl.gz").read_bytes()[:-20])
    with pytest.raises(UserError, match=r"r\.jsonl\.gz: damaged gzip"):
        convert_source(Amazon2023(*files), ConvertSettings(tmp_path / "gz" / "shop"))


BROKEN = [
    "{not json",
    '{"user_id": "AEU1", "parent_asin"',
    "[]",
    "null",
    '"text"',
    "[" * 200_000,
    review(None, "B1", 1_588_615_855_070),
    review("", "B1", 1_588_615_855_070),
    review(True, "B1", 1_588_615_855_070),
    review(["AEU1"], "B1", 1_588_615_855_070),
    review("AEU1", {"a": 1}, 1_588_615_855_070),
    review("A\ud800", "B1", 1_588_615_855_070),
    {"rating": 5.0},
    review("AEU1", "B1", "yesterday"),
    review("AEU1", "B1", None),
    review("AEU1", "B1", [1]),
    review("AEU1", "B1", float("nan")),
    review("AEU1", "B1", float("inf")),
    review("AEU1", "B1", True),
    review("AEU1", "B1", 1_588_615_855),  # seconds
    review("AEU1", "B1", 1_588_615_855_070_000),  # microseconds
]


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    clean, _ = convert(tmp_path)
    mixed = [line for pair in zip(BROKEN, [*REVIEWS, *[""] * 14], strict=True) for line in pair]
    found, notes = convert(tmp_path, mixed, [*PRODUCTS, "{", product(None, "x")], max_broken=0.8)
    assert rows(found.interactions) == rows(clean.interactions) and rows(found.items) == rows(clean.items)
    assert "r.jsonl: 6 lines left out: not a JSON object" in notes
    assert "r.jsonl: 7 lines left out: no user_id or parent_asin" in notes
    assert "r.jsonl: 3 lines left out: no timestamp" in notes
    assert "r.jsonl: 5 lines left out: timestamp is not milliseconds between 1995 and 2100" in notes
    assert "meta_r.jsonl: 1 lines left out: no parent_asin" in notes


def test_too_many_broken_lines(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"r\.jsonl: 2 of 9 lines are broken.*line 8 is the first: not a JSON object"):
        convert(tmp_path, [*REVIEWS, "{", "}"], max_broken=0.2)
    # just as many as allowed are not too many
    assert convert(tmp_path, [*REVIEWS, "{"], max_broken=0.125)
    with pytest.raises(UserError, match=r"meta_r\.jsonl: 1 of 6 lines"):
        convert(tmp_path, products=[*PRODUCTS, "{"])
    with pytest.raises(UserError, match=r"r\.jsonl: no lines"):
        convert(tmp_path, [])
    with pytest.raises(UserError, match=r"none of the first 10,000 lines can be used"):
        convert(tmp_path, ["x"] * 12_000)


def test_odd_types_of_text_become_one_line_or_nothing(tmp_path: Path) -> None:
    odd = [
        product("B1", "a\tb\r\nc\u0000d \ud800", store=12, categories="Shoes", details=["Color"]),
        product("B2", ["Two", None, "Parts"], store={"n": 1}, categories=[None, 3, ["x"], "Boots", "Boots"]),
        product("B3", 1984, categories={"a": 1}, details={"COLOR ": ["Red", "Blue"], "size": 8.5, "Size": None}),
    ]
    found, _ = convert(tmp_path, products=odd)
    assert rows(found.items) == [
        ["B1", "a b c d ?", "12", "", "", "Shoes"],
        ["B2", "Two, Parts", "", "Red", "8", "3 > x > Boots"],
        ["B3", "1984", "Norda", "Red, Blue", "", ""],
    ]


def test_an_item_without_a_title_takes_its_actions_with_it(tmp_path: Path) -> None:
    reviews = [*REVIEWS, review("AEU1", "B4", 1_588_615_857_600), review("AEU1", "B5", 1_588_615_857_700)]
    found, notes = convert(tmp_path, reviews, [*PRODUCTS, product("B4", None), product("B4", "  ")])
    assert "B4" not in found.items["item_id"].tolist() and len(found.interactions) == 4
    assert "2 actions with 2 items that have no title in the catalogue left out" in notes
    assert "2 products without a title" in notes


def test_days_and_core(tmp_path: Path) -> None:
    # 1588615855 is 2020-05-04, 1588687728 is 2020-05-05, both UTC
    found, notes = convert(tmp_path, since="2020-05-04", until="2020-05-04")
    assert set(found.interactions["user_id"]) == {"AEU1"} and "actions outside --since and --until left out: 3" in notes
    # B3 is bought once, so AEU2 is left with one action, then B1 with one, then nobody with two
    with pytest.raises(UserError, match="--k-core 2: no actions are left"):
        convert(tmp_path, core=2)
    more = [*REVIEWS, review("AEU2", "B2", 1_588_687_730_000)]
    found, _ = convert(tmp_path, more, core=2)
    assert sorted(map(tuple, found.interactions[["user_id", "item_id"]].to_numpy())) == [
        ("AEU1", "B1"), ("AEU1", "B2"), ("AEU2", "B1"), ("AEU2", "B2"),
    ]  # fmt: skip
    with pytest.raises(UserError, match="--since: expected a day such as 2021-12-31, found '2020-5-4'"):
        convert(tmp_path, since="2020-5-4")
    with pytest.raises(UserError, match="not after --until 2020-05-04, found 2020-05-05"):
        convert(tmp_path, since="2020-05-05", until="2020-05-04")


def test_the_reader_holds_one_chunk_and_no_review_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    real = json_lines._parse

    def counted(line: bytes) -> Any:
        nonlocal read
        read += 1
        return real(line)

    monkeypatch.setattr(json_lines, "_parse", counted)
    monkeypatch.setattr(events, "CHUNK_ROWS", 10)
    path = write_lines(tmp_path / "r.jsonl", (review("AEU1", f"B{i}", 1_588_615_855_070 + i) for i in range(1000)))
    chunks = Amazon2023(path, path).events()
    for number in range(1, 4):
        assert len(next(chunks).users) == 10 and read == 10 * number


def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    peaks = []
    for length in (10, 20_000):  # 600 reviews: 12 MB of text in the second file
        lines = (review("AEU1", f"B{i}", 1_588_615_855_070 + i, text="x" * length) for i in range(600))
        source = Amazon2023(*[write_lines(tmp_path / "r.jsonl", lines)] * 2)
        tracemalloc.start()
        assert sum(len(chunk.users) for chunk in source.events()) == 600
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1_000_000


def test_a_very_long_line_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 1000)
    lines = ["x" * 5000, *REVIEWS, "y" * 5000]
    found, notes = convert(tmp_path, lines, max_broken=0.5)
    assert len(found.interactions) == 4 and "2 lines left out: not a JSON object" in notes


def test_the_command(tmp_path: Path) -> None:
    write_lines(tmp_path / "r.jsonl", REVIEWS)
    write_lines(tmp_path / "m.jsonl", PRODUCTS)
    files = ["--reviews", f"{tmp_path}/r.jsonl", "--metadata", f"{tmp_path}/m.jsonl", "--out", f"{tmp_path}/shop"]
    output = invoke("amazon-2023", *files, "--clicks", "--k-core", "1", "--queries", "category")
    assert f"written: {tmp_path}/shop" in output and "searches derived from earlier items: 3" in output
    assert rows(read_folder(tmp_path / "shop").searches) == [
        ["AEU2", pytest.approx(1588687728.9615), "plain socks", ""],
        ["AEU1", pytest.approx(1588615855.535), "women shoes boots", ""],
        ["AEU1", 1588615856.75, "women shoes boots", ""],
    ]
    assert "**DERIVED, not typed by users.**" in (tmp_path / "shop/README.md").read_text()
    with pytest.raises(UserError, match="add --reviews FILE and --metadata FILE, or --download CATEGORY"):
        invoke("amazon-2023", "--out", f"{tmp_path}/shop")
    with pytest.raises(UserError, match=r"q\.jsonl: no such file; the nearest is .*r\.jsonl"):
        invoke("amazon-2023", "--reviews", f"{tmp_path}/q.jsonl", *files[2:])


def test_a_foreign_readme_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/README.md").write_text("mine")
    with pytest.raises(UserError, match="was not written by convert"):
        convert(tmp_path)
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["README.md"]


def test_the_same_command_gives_the_same_bytes_over_an_older_folder(tmp_path: Path) -> None:
    convert(tmp_path, queries=DerivedQueries.category)
    first = {path.name: path.read_bytes() for path in (tmp_path / "shop").iterdir()}
    convert(tmp_path)
    assert not (tmp_path / "shop/shop.search").exists()
    convert(tmp_path, queries=DerivedQueries.category)
    assert {path.name: path.read_bytes() for path in (tmp_path / "shop").iterdir()} == first
