"""`convert retailrocket` on hand-written lines of the published tables."""

from pathlib import Path
from typing import Any

import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries
from recbole_llmfashion.dataset_tools.convert.readers import csv_stream
from recbole_llmfashion.dataset_tools.convert.sources.published.retailrocket import RetailRocket
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, invoke, rows

EVENTS = """timestamp,visitorid,event,itemid,transactionid
1433221999827,111016,transaction,318965,4000
1433221332117,257597,view,355908,
1433221400000,257597,addtocart,355908,
1433221500500,257597,transaction,318965,4001
1433221333000,111016,view,355908,
1433221333000,111016,view,355908,
1433224214164,992329,view,248676,
1433224214165,257597,view,999,
"""
PART1 = """timestamp,itemid,property,value
1435460400000,355908,categoryid,1338
1441508400000,355908,888,1116713 960601 n277.200
1431226800000,355908,888,960601 n5.000 7 960601
1439089200000,318965,400,n552.000 639502 n720.000 424566
1431226800000,318965,790,n15360.000
"""
PART2 = """timestamp,itemid,property,value
1431226800000,318965,888,828513
1433041200000,318965,categoryid,9
1431831600000,318965,categoryid,1338
1431831600000,248676,888,n1.000
1431831600000,5,888,12
"""
TREE = "categoryid,parentid\n1338,1016\n1016,213\n213,\n9,9\n"


def write(folder: Path, events: str = EVENTS, part1: str = PART1, part2: str = PART2, tree: str = TREE) -> list[Path]:
    texts = {
        "events.csv": events,
        "item_properties_part1.csv": part1,
        "item_properties_part2.csv": part2,
        "category_tree.csv": tree,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def convert(
    folder: Path, *texts: str, title: str = "888", broken: float = 0.01, **more: Any
) -> tuple[AtomicFolder, str]:
    events, part1, part2, tree = write(folder, *texts)
    source = RetailRocket(events, [part1, part2], tree, title, broken)
    _, notes = convert_source(source, ConvertSettings(folder / "shop", **more))
    return check_readme(folder / "shop"), "\n".join(notes)


def test_conversion(tmp_path: Path) -> None:
    found, notes = convert(tmp_path)
    assert rows(found.interactions) == [
        ["111016", "355908", "click", 1433221333.0],
        ["111016", "318965", "purchase", 1433221999.827],
        ["257597", "355908", "click", 1433221332.117],
        ["257597", "355908", "click", 1433221400.0],
        ["257597", "318965", "purchase", 1433221500.5],
    ]
    path = "category-213 > category-1016 > category-1338"  # the earliest category of 318965, too
    assert rows(found.items) == [
        ["318965", "w828513", "", "", "", path],
        ["355908", "w960601 w7", "", "", "", path],
    ]
    assert "events.csv: 8 events" in notes and "action and time left out: 1" in notes
    assert "items whose property 888 has no words left out: 1" in notes
    assert "2 actions with 2 items that have no title in the catalogue left out" in notes
    assert "the source has no titles" in (tmp_path / "shop/README.md").read_text()


def test_derived_queries_have_words(tmp_path: Path) -> None:
    found, _ = convert(tmp_path, queries=DerivedQueries.category)
    assert set(found.searches["query"]) == {"category-1016 category-1338"}


def test_another_title_and_all_items(tmp_path: Path) -> None:
    assert convert(tmp_path, all_items=True)[0].items["item_id"].tolist() == ["318965", "355908", "5"]
    with pytest.raises(UserError, match=r"--title-property 790: no item has words in this property; name another"):
        convert(tmp_path, title="790")
    both = PART2 + "1431831600000,355908,400,4 n1.0\n"
    assert convert(tmp_path, EVENTS, PART1, both, title="400")[0].items["title"].tolist() == ["w639502 w424566", "w4"]


def test_blocks_of_the_stream_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = convert(tmp_path)
    monkeypatch.setattr(csv_stream, "BLOCK_BYTES", 120)
    cut, _ = convert(tmp_path)
    assert rows(cut.interactions) == rows(whole.interactions) and rows(cut.items) == rows(whole.items)


def test_a_circle_of_categories_ends(tmp_path: Path) -> None:
    found, _ = convert(tmp_path, EVENTS, PART1, PART2, "categoryid,parentid\n1338,1016\n1016,1338\n")
    assert found.items["category"].tolist() == ["category-1016 > category-1338"] * 2


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    bad = ["x,1,view,5,", "1433221332,1,view,5,", "1433221332117,1,click,5,", "1433221332117,,view,5,", "1,2"]
    found, notes = convert(tmp_path, EVENTS + "\n".join(bad) + "\n", broken=0.5)
    assert rows(found.interactions) == rows(convert(tmp_path)[0].interactions)
    assert "2 lines left out: timestamp is not milliseconds between 1995 and 2100" in notes
    assert "1 lines left out: event is not view, addtocart or transaction" in notes
    assert "1 lines left out: no visitorid or no itemid" in notes
    assert "1 lines left out: another number of fields than the header has" in notes


REFUSED: list[tuple[tuple[str, ...], str]] = [
    ((PART1,), "events.csv: no column 'visitorid'"),
    ((EVENTS, TREE), "item_properties_part1.csv: no column 'timestamp'"),
    ((EVENTS, PART1, ""), "item_properties_part2.csv: no header line"),
    ((EVENTS, PART1, PART2, PART1), "category_tree.csv: no column 'categoryid'"),
    (("",), "events.csv: no header line"),
    ((EVENTS.splitlines()[0] + "\n",), "events.csv: no lines"),
    ((EVENTS.replace("14332", "2"),), "events.csv: 8 of 8 lines are broken"),
    ((EVENTS.replace("transaction,", "view,"),), "no usable user"),
]


@pytest.mark.parametrize(("texts", "expected"), REFUSED, ids=[text for _, text in REFUSED])
def test_errors(tmp_path: Path, texts: tuple[str, ...], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        convert(tmp_path, *texts)
    assert expected in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "shop").exists()


def test_the_command(tmp_path: Path) -> None:
    events, part1, part2, _ = map(str, write(tmp_path))
    parts = ["--properties", part1, "--properties", part2]
    invoke("retailrocket", "--events", events, *parts, "--out", str(tmp_path / "shop"), "--since", "2015-06-01")
    assert check_readme(tmp_path / "shop").items["category"].tolist() == ["category-1338"] * 2  # without the tree
    more = ["--attribute", "price=790", "--attribute", "words=400"]
    invoke("retailrocket", "--events", events, *parts, "--out", str(tmp_path / "more"), *more)
    found = check_readme(tmp_path / "more").items
    assert found["price"].tolist()[0] == 15360.0 and found["words"].tolist() == ["w639502 w424566", ""]
