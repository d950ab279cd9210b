"""`convert kuaisearch` on hand-written lines with the published fields."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.sources.published.kuaisearch import KuaiSearch
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, rows


def search(user: Any, time: Any, query: Any, clicked: Any = (), bought: Any = (), **changes: Any) -> dict[str, Any]:
    """A line of recall.jsonl."""
    return {
        "user_id": user,
        "session_id": 1,
        "query": query,
        "time_index": time,
        "search_entrance": "search_entrance_ksstore",
        "impressed_item_ids": [58, 63, 76],
        "clicked_item_ids": list(clicked) if isinstance(clicked, tuple) else clicked,
        "purchased_item_ids": list(bought) if isinstance(bought, tuple) else bought,
        "split": "train",
    } | changes


def item(number: Any, title: Any, **changes: Any) -> dict[str, Any]:
    return {
        "item_id": number,
        "item_title": title,
        "brand_name": "无品牌",
        "seller_name": "小店",
        "category_level1_name": "女装",
        "category_level2_name": "套装",
        "category_level3_name": "套装",
    } | changes


SEARCHES = [
    search(1, 384_570, "红色 连衣裙", clicked=(58, 63), bought=(63,)),
    search(1, 384_565, "广场舞服装女", clicked=(58,), impressed_item_ids=[58, 5, 63, *range(100, 120)]),
    search(1, 384_571, "后来"),  # after the last purchase
    search(2, 10, "无", clicked=(58,)),  # no purchase
    search(3, 20, None, clicked=None, bought=(58, 63, None)),
]
ITEMS = [item(63, "连衣裙 红"), item(58, "舞服", brand_name=None), item(63, "again"), item(76, ""), item(99, "unused")]


def convert(folder: Path, searches: Any = SEARCHES, items: Any = ITEMS, **options: Any) -> tuple[AtomicFolder, str]:
    paths = [folder / "recall.jsonl", folder / "items.jsonl"]
    for path, lines in zip(paths, (searches, items), strict=True):
        text = "".join(
            (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines
        )
        path.write_text(text)
    source = KuaiSearch(*paths, options.pop("max_broken", 0.01))
    _, notes = convert_source(source, ConvertSettings(folder / "shop", **options))
    return check_readme(folder / "shop"), "\n".join(notes)


def test_conversion(tmp_path: Path) -> None:
    found, notes = convert(tmp_path)
    assert rows(found.interactions) == [
        ["1", "58", "click", 384_565.25],
        ["1", "58", "click", 384_570.25],
        ["1", "63", "click", 384_570.25],
        ["1", "63", "purchase", 384_570.5],
        ["3", "58", "purchase", 20.5],
        ["3", "63", "purchase", 20.5],
    ]
    assert rows(found.items) == [
        ["63", "连衣裙 红", "无品牌", "", "", "女装 > 套装", "小店"],
        ["58", "舞服", "", "", "", "女装 > 套装", "小店"],
    ]
    assert found.item_types["seller"] == "token"
    # of the first eight items shown those of the catalogue
    assert rows(found.searches) == [
        ["1", 384_565.0, "广场舞服装女", "58 63"],
        ["1", 384_570.0, "红色 连衣裙", "58 63"],
    ]
    assert "recall.jsonl: 5 searches; items without an id left out: 1" in notes
    assert "left out 0 items without a title and 1 repeated ones" in notes
    assert "recall.jsonl: searches without a query left out: 1" in notes
    assert "whose unit is not published" in (tmp_path / "shop/README.md").read_text()


def test_a_search_is_strictly_earlier_than_what_it_led_to(tmp_path: Path) -> None:
    found, _ = convert(tmp_path)
    for user, time, _, _ in rows(found.searches):
        own = found.interactions[found.interactions["user_id"] == user]["timestamp"]
        assert ((own > time) & (own < time + 1)).any()


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    bad = [
        "{",
        search(None, 5, "q"),
        search(1, "5", "q"),
        search(1, -1, "q"),
        search(1, 5, "q", clicked="58"),
        {"user_id": 1, "time_index": 5, "query": "q", "target_item_id": 58, "is_clicked": 1},  # of rank.jsonl
    ]
    found, notes = convert(tmp_path, SEARCHES + bad, [*ITEMS, {"item_title": "x"}], max_broken=0.6)
    assert rows(found.interactions) == rows(convert(tmp_path)[0].interactions)
    for line in (
        "1 lines left out: not a JSON object",
        "1 lines left out: no user_id",
        "2 lines left out: time_index is not a number from 0 on",
        "1 lines left out: clicked_item_ids is not a list",
        "1 lines left out: no clicked_item_ids and no purchased_item_ids",
        "items.jsonl: 1 lines left out: no item_id",
    ):
        assert line in notes
    with pytest.raises(UserError, match=r"recall\.jsonl: 6 of 6 lines are broken"):
        convert(tmp_path, bad)
    with pytest.raises(UserError, match=r"recall\.jsonl: no lines"):
        convert(tmp_path, [])


def test_further_fields(tmp_path: Path) -> None:
    convert(tmp_path, items=[ITEMS[0], item(58, "舞服", spu=[7, "x"])])
    source = KuaiSearch(tmp_path / "recall.jsonl", tmp_path / "items.jsonl", further={"spu": "spu"})
    convert_source(source, ConvertSettings(tmp_path / "x"))
    assert check_readme(tmp_path / "x").items["spu"].tolist() == ["", "7, x"]


def test_gzip_gives_the_same_bytes(tmp_path: Path) -> None:
    convert(tmp_path)
    paths = []
    for name in ("recall.jsonl", "items.jsonl"):
        paths.append(tmp_path / f"{name}.gz")
        paths[-1].write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    convert_source(KuaiSearch(*paths), ConvertSettings(tmp_path / "gz/shop"))
    for suffix in ("inter", "search", "item"):
        assert (tmp_path / f"gz/shop/shop.{suffix}").read_bytes() == (tmp_path / f"shop/shop.{suffix}").read_bytes()
