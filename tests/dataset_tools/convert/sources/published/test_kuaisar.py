"""`convert kuaisar` on hand-written lines of the published tables."""

from pathlib import Path

import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.readers import csv_stream
from recbole_llmfashion.dataset_tools.convert.sources.published.kuaisar import KuaiSAR
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, rows

WATCHED = "user_id,item_id,playing_time,duration_ms,time,timestamp,click,forward,like,follow,search,search_item_related"
RECOMMENDED = f"""{WATCHED}
1,10,60792.0,45400.0,2023-05-22 15:53:20,1684742000000.0,1,0,0,0,0,0
1,11,0.0,45400.0,2023-05-22 15:53:21,1684742001000.0,0,0,0,0,0,0
2,10,5.0,45400.0,2023-05-22 15:53:22,1684742002000.0,1,0,0,0,0,0
1,77,5.0,45400.0,2023-05-22 15:53:22,1684742002000.0,1,0,0,0,0,0
2,11,5.0,45400.0,2023-05-22 15:55:22,1684742122000.0,1,0,0,0,0,0
"""
SHOWN = (
    "user_id,search_session_id,search_session_time,search_session_timestamp,"
    "keyword,search_source,item_id,click_cnt,item_type"
)
SEARCHED = f"""{SHOWN}
1,7,2023-05-22 15:54:02,1684742042000,"[20, 34, 3]",USER_INPUT,12,0,VIDEO
1,7,2023-05-22 15:54:02,1684742042000,"[20, 34, 3]",USER_INPUT,11,2,VIDEO
1,7,2023-05-22 15:54:02,1684742042000,"[20, 34, 3]",USER_INPUT,10,0,VIDEO
2,8,2023-05-22 15:54:03,1684742043000,[],USER_INPUT,10,0,VIDEO
"""
LEVELS = ",".join(
    f"{level}_level_category_id,{level}_level_category_name,{level}_level_category_name_en"
    for level in ("first", "second", "third", "fourth")
)
ITEMS = f"""item_id,caption,author_id,item_type,upload_time,upload_type,{LEVELS}
10,"[1, 213, 24]",10,NORMAL,2023-04-22,LongImport,9,搞笑,Funny,136,搞笑段子,Funny joke,0,空,empty,0,空,empty
11,"[3, 3]",10,NORMAL,2023-04-22,LongImport,9,搞笑,Funny,0,空,empty,0,空,empty,0,空,empty
77,[],10,NORMAL,2023-04-22,LongImport,9,搞笑,Funny,0,空,empty,0,空,empty,0,空,empty
10,[5],10,NORMAL,2023-04-22,LongImport,9,搞笑,Funny,0,空,empty,0,空,empty,0,空,empty
"""


def convert(
    folder: Path, recommended: str = RECOMMENDED, searched: str = SEARCHED, items: str = ITEMS, broken: float = 0.01
) -> tuple[AtomicFolder, str]:
    names = ("rec_inter.csv", "src_inter.csv", "item_features.csv")
    for name, text in zip(names, (recommended, searched, items), strict=True):
        (folder / name).write_text(text)
    source = KuaiSAR(*(folder / name for name in names), broken)
    _, notes = convert_source(source, ConvertSettings(folder / "videos"))
    return check_readme(folder / "videos"), "\n".join(notes)


def test_conversion(tmp_path: Path) -> None:
    found, notes = convert(tmp_path)
    assert rows(found.interactions) == [
        ["1", "10", "purchase", 1684742000.0],
        ["1", "11", "purchase", 1684742042.001],
        ["2", "10", "purchase", 1684742002.0],
        ["2", "11", "purchase", 1684742122.0],
    ]
    assert rows(found.items) == [
        ["10", "w1 w213 w24", "", "", "", "Funny > Funny joke"],
        ["11", "w3", "", "", "", "Funny"],
    ]
    assert rows(found.searches) == [["1", 1684742042.0, "w20 w34 w3", "11 10"]]
    assert "rec_inter.csv: items shown without a click left out: 1" in notes
    assert "src_inter.csv: items shown without a click left out: 3" in notes
    assert "left out 1 items without a caption and 1 repeated ones" in notes
    assert "1 actions with 1 items that have no title in the catalogue left out" in notes
    assert "searches without a keyword left out: 1" in notes
    assert "the source has no purchases: every click is a purchase" in (tmp_path / "videos/README.md").read_text()


def test_blocks_of_the_stream_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = convert(tmp_path)
    monkeypatch.setattr(csv_stream, "BLOCK_BYTES", 400)
    cut, _ = convert(tmp_path)
    for name in ("interactions", "searches", "items"):
        assert rows(getattr(cut, name)) == rows(getattr(whole, name))


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    bad = "1,10,1,1,t,x,1,0,0,0,0,0\n,10,1,1,t,1684742000000,1,0,0,0,0,0\n1,2\n"
    found, notes = convert(tmp_path, RECOMMENDED + bad, broken=0.5)
    assert rows(found.interactions) == rows(convert(tmp_path)[0].interactions)
    assert "1 lines left out: timestamp is not milliseconds between 1995 and 2100" in notes
    assert "1 lines left out: no user_id or no item_id" in notes
    assert "1 lines left out: another number of fields than the header has" in notes


def test_further_columns(tmp_path: Path) -> None:
    convert(tmp_path)
    files = [tmp_path / name for name in ("rec_inter.csv", "src_inter.csv", "item_features.csv")]
    source = KuaiSAR(*files, further={"kind": "upload_type", "number": "item_id"})
    convert_source(source, ConvertSettings(tmp_path / "x"))
    assert rows(check_readme(tmp_path / "x").items[["kind", "number"]]) == [["LongImport", "10"], ["LongImport", "11"]]
    with pytest.raises(UserError, match=r"item_features\.csv: no column 'kind'"):
        KuaiSAR(*files, further={"kind": "kind"})


REFUSED: list[tuple[tuple[str, ...], str]] = [
    ((SEARCHED,), "rec_inter.csv: no column 'timestamp'"),
    ((RECOMMENDED, RECOMMENDED), "src_inter.csv: no column 'search_session_timestamp'"),
    ((RECOMMENDED, SEARCHED, RECOMMENDED), "item_features.csv: no column 'caption'"),
    (("",), "rec_inter.csv: no header line"),
    ((RECOMMENDED.splitlines()[0] + "\n",), "rec_inter.csv: no lines"),
    ((RECOMMENDED.replace("1684742", "1"),), "rec_inter.csv: 5 of 5 lines are broken"),
]


@pytest.mark.parametrize(("texts", "expected"), REFUSED, ids=[text for _, text in REFUSED])
def test_errors(tmp_path: Path, texts: tuple[str, ...], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        convert(tmp_path, *texts)
    assert expected in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "videos").exists()
