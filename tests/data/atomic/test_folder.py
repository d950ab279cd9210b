from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_llmfashion.data.atomic.folder import ITEM_ATTRIBUTES, AtomicError, AtomicFolder, item_columns, read_folder
from recbole_llmfashion.data.atomic.times import LATEST
from recbole_llmfashion.data.atomic.writer import folder_sha256, write_folder
from recbole_llmfashion.dataset_tools.clean import clean

INTER = "user_id:token\titem_id:token\taction:token\ttimestamp:float\nu1\ta\tclick\t1\nu1\tb\tpurchase\t2.5\n"
SEARCH = "user_id:token\ttimestamp:float\tquery:token\tresults:token_seq\nu1\t0.5\tred shoe\tb a\nu1\t2.5\tboot\t\n"
ITEM = (
    "item_id:token\ttitle:token\tbrand:token\tcolor:token\tsize:token\tcategory:token\tprice:float\n"
    "a\tRed shoe\tNA\tred\t8\tshoes\t19.99\nb\tBoot\t\t\t\t\t\n"
)


def make(folder: Path, inter: str = INTER, search: str | None = SEARCH, item: str = ITEM) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in ((".inter", inter), (".search", search), (".item", item)):
        if text is not None:
            (folder / (folder.name + suffix)).write_bytes(text.encode())
    return folder


def refused(folder: Path) -> AtomicError:
    with pytest.raises(AtomicError) as caught:
        read_folder(folder)
    assert "\n" not in str(caught.value)
    assert f"run `recbole-llmfashion validate {folder}`" in str(caught.value)
    return caught.value


def test_read_folder(tmp_path: Path) -> None:
    found = read_folder(make(tmp_path / "shoes"))
    assert found.name == "shoes"
    assert found.interactions.values.tolist() == [["u1", "a", "click", 1.0], ["u1", "b", "purchase", 2.5]]
    assert found.interactions["timestamp"].dtype == np.float64
    assert found.searches.values.tolist() == [["u1", 0.5, "red shoe", "b a"], ["u1", 2.5, "boot", ""]]
    assert found.items.columns.tolist() == ["item_id", "title", *ITEM_ATTRIBUTES, "price"]
    assert found.items["brand"].tolist() == ["NA", ""]
    assert found.items["price"].iloc[0] == 19.99 and np.isnan(found.items["price"].iloc[1])


def test_columns_in_any_order_and_no_searches(tmp_path: Path) -> None:
    inter = "timestamp:float\taction:token\titem_id:token\tuser_id:token\n1\tclick\ta\tu1\n2\tpurchase\tb\tu1\n"
    found = read_folder(make(tmp_path / "shoes", inter=inter, search=None))
    assert found.searches.columns.tolist() == ["user_id", "timestamp", "query", "results"] and found.searches.empty
    assert found.interactions.values.tolist() == [["u1", "a", "click", 1.0], ["u1", "b", "purchase", 2.0]]


@pytest.mark.parametrize(
    "change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, lambda t: t.rstrip("\n")]
)
def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path: Path, change) -> None:
    plain = read_folder(make(tmp_path / "plain" / "shoes"))
    other = read_folder(make(tmp_path / "other" / "shoes", *map(change, (INTER, SEARCH, ITEM))))
    for frame in ("interactions", "searches", "items"):
        pd.testing.assert_frame_equal(getattr(plain, frame), getattr(other, frame))


FURTHER = """item_id:token\tmaterial:token\ttitle:token\tbrand:token\tcolor:token\tsize:token\tcategory:token\t\
price:float\tfit:token_seq\tweight:float\tvector:float_seq
a\tleather\tRed shoe\tNA\tred\t8\tshoes\t19.99\twide high\t1.50\t1 2
b\t\tBoot\t\t\t\t\t\t\t\t
"""


def test_further_columns_of_items(tmp_path: Path) -> None:
    """They follow the columns of the format, and their cells keep their text."""
    folder = make(tmp_path / "shoes", item=FURTHER)
    found = read_folder(folder)
    further = {"material": "token", "fit": "token_seq", "weight": "float", "vector": "float_seq"}
    assert found.further == further and found.items.columns.tolist()[-5:] == ["price", *further]
    assert found.items.iloc[0].tolist()[-4:] == ["leather", "wide high", "1.50", "1 2"]
    assert found.items.iloc[1].tolist()[-4:] == [""] * 4
    assert item_columns(folder, "shoes") == {
        **further,
        **dict.fromkeys(("item_id", "title", *ITEM_ATTRIBUTES), "token"),
        "price": "float",
    }
    write_folder(replace(found, path=tmp_path / "again" / "shoes"))
    written = (tmp_path / "again" / "shoes" / "shoes.item").read_text()
    assert written.splitlines()[0].endswith(
        "price:float\tmaterial:token\tfit:token_seq\tweight:float\tvector:float_seq"
    )
    assert written.splitlines()[1].endswith("\t19.99\tleather\twide high\t1.50\t1 2")
    again = read_folder(tmp_path / "again" / "shoes")
    pd.testing.assert_frame_equal(again.items, found.items)
    write_folder(again)
    assert (tmp_path / "again" / "shoes" / "shoes.item").read_text() == written
    kept = clean(again)[0]
    assert kept.further == further and kept.items.equals(found.items)


def test_further_numbers_are_checked(tmp_path: Path) -> None:
    error = refused(make(tmp_path / "shoes", item=FURTHER.replace("1.50", "heavy")))
    assert (error.file, error.line, error.column) == ("shoes.item", 2, "weight")


def test_item_columns_need_a_header(tmp_path: Path) -> None:
    headers = {"none": None, "short": "item_id\n", "other": "item_id:token\tname:token\n"}
    messages = {"none": "this file", "short": "separated by tabs", "other": "title"}
    for name, message in messages.items():
        folder = make(tmp_path / name)
        (folder / f"{name}.item").unlink()
        if headers[name] is not None:
            (folder / f"{name}.item").write_text(headers[name])
        with pytest.raises(AtomicError, match=message):
            item_columns(folder, name)


HOSTILE = [
    '"', '""quoted" 5" heel', "NA", "null", "nan", "#1 shoe", " spaces ", "👟🧦", "حذاء أحمر", "\u202eeohs",
    "a\\tb", "x" * 100_000, "'", "a\u2028b", "\x1a", "1e5", "=cmd()", "\x85",
]  # fmt: skip


def test_hostile_text_survives_byte_for_byte(tmp_path: Path) -> None:
    rows = "".join(f"i{n}\tt{text}\t{text}\t\t\t\n" for n, text in enumerate(HOSTILE))
    item = ITEM.replace("\tprice:float", "").replace("\t19.99", "").replace("\t\t\t\t\t\n", "\t\t\t\t\n") + rows
    search = SEARCH + "".join(f"u1\t3\tq{text}\ti0 i1\n" for text in HOSTILE)
    folder = make(tmp_path / "shoes", search=search, item=item)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    found = read_folder(folder)
    assert found.items["brand"].tolist()[2:] == HOSTILE
    write_folder(found)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


TEXT = st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"]), max_size=12)
SECONDS = st.floats(0, LATEST, exclude_max=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(TEXT, TEXT, SECONDS), min_size=1, max_size=5))
def test_write_then_read_is_the_identity(tmp_path: Path, texts: list[tuple[str, str, float]]) -> None:
    ids = [f"i{n}" for n in range(len(texts))]
    times = [t for *_, t in texts]
    items = pd.DataFrame({"item_id": ids, "title": ["t" + a for a, *_ in texts]})
    items = items.assign(brand=[b for _, b, _ in texts], color="", size="", category="", available_from=times)
    inter = pd.DataFrame({"user_id": "u", "item_id": ids, "action": "purchase", "timestamp": times})
    search = pd.DataFrame({"user_id": "u", "timestamp": times, "query": "q", "results": ids})
    folder = AtomicFolder("d", tmp_path / "d", inter, search, items)
    write_folder(folder)
    found = read_folder(folder.path)
    pd.testing.assert_frame_equal(found.interactions, inter)
    pd.testing.assert_frame_equal(found.searches, search)
    pd.testing.assert_frame_equal(found.items, items)
    digest = folder_sha256(folder.path, "d")
    write_folder(found)
    assert folder_sha256(folder.path, "d") == digest


REFUSED = [
    # (file, old text, new text, line, column, a part of what is expected, a part of what is found)
    (".inter", "\t2.5\n", "\tabc\n", 3, "timestamp", "number", "'abc'"),
    (".inter", "\t2.5\n", "\tNaN\n", 3, "timestamp", "number", "'NaN'"),
    (".inter", "\t2.5\n", "\t\n", 3, "timestamp", "number", "''"),
    (".inter", "\t2.5\n", "\tinf\n", 3, "timestamp", "below 1e11", "'inf'"),
    (".inter", "\t2.5\n", "\t1e999\n", 3, "timestamp", "below 1e11", "'1e999'"),
    (".inter", "\t2.5\n", "\t1_0\n", 3, "timestamp", "number", "'1_0'"),
    (".inter", "\t2.5\n", "\t 2\n", 3, "timestamp", "number", "' 2'"),
    (".inter", "\t1\n", "\t-1\n", 2, "timestamp", "0 or more", "'-1'"),
    (".inter", "click", "Click", 2, "action", "click or purchase", "'Click'"),
    (".inter", "u1\tb", "\tb", 3, "user_id", "not empty", "''"),
    (".inter", "u1\tb", "u 1\tb", 3, "user_id", "white space", "'u 1'"),
    (".inter", "u1\tb", "u\u00a01\tb", 3, "user_id", "white space", "xa01"),
    (".inter", "u1\tb", "u1\tc", 3, "item_id", "an item id of shoes.item", "'c'"),
    (".inter", "u1\tb\t", "u1\t", 3, None, "4 fields", "found 3"),
    (".inter", "\t2.5\n", "\t2.5\t\n", 3, None, "4 fields", "found 5"),
    (".inter", "\t1\n", "\t1\n\n", 3, None, "4 fields", "an empty line"),
    (".inter", "u1\tb\tpurchase\t2.5", "u1,b,purchase,2.5", 3, None, "4 fields", "comma"),
    (".inter", "u1\tb", "u1\0\tb", 3, None, "UTF-8", "NUL"),
    (".inter", "u1\tb", "u1\tb\r", 3, None, "UTF-8", "carriage return"),
    (".inter", "item_id:token", "item:token", 1, "item", "item_id", "'item:token'"),
    (".inter", "timestamp:float", "timestamp", 1, "timestamp", "timestamp:float", "'timestamp'"),
    (".inter", "timestamp:float", "timestamp:token", 1, "timestamp", "timestamp:float", "'timestamp:token'"),
    (".inter", "item_id:token", "user_id:token", 1, "user_id", "once", "2 times"),
    (".inter", INTER, INTER.replace("\t", ","), 1, None, "tabs", "comma"),
    (".inter", INTER, INTER.replace("\t", ";"), 1, None, "tabs", "semicolon"),
    (".inter", INTER, INTER.replace("\t", "|"), 1, None, "tabs", "vertical bar"),
    (".inter", INTER, "", 1, None, "header", "empty file"),
    (".search", "red shoe", "", 2, "query", "a query", "''"),
    (".search", "red shoe", "  ", 2, "query", "a query", "'  '"),
    (".search", "b a", "b c", 2, "results", "shoes.item", "'c'"),
    (".search", "b a", "b  a", 2, "results", "single spaces", "'b  a'"),
    (".search", "b a", "b,a", 2, "results", "single spaces", "'b,a'"),
    (".search", "b a", " ".join("a" * 9), 2, "results", "at most 8", "a a"),
    (".search", "\t2.5\t", "\t-inf\t", 3, "timestamp", "number", "'-inf'"),
    (".item", "a\tRed shoe", "a\t ", 2, "title", "a title", "' '"),
    (".item", "b\tBoot", "a\tBoot", 3, "item_id", "once", "first in line 2"),
    (".item", "19.99", "cheap", 2, "price", "number", "'cheap'"),
    (".item", "price:float", "prize:float", 1, "prize", "price", "'prize:float'"),
    (".item", "price:float", "material:text", 1, "material", "material:token_seq or material:float", "'material:text'"),
    (".item", "price:float", "fit|cut:token", 1, None, "a column name of letters, digits and _", "found 'fit|cut'"),
    (".item", "price:float", "my fit:token", 1, None, "a column name of letters, digits and _", "found 'my fit'"),
    (".item", "price:float", "brand:token", 1, "brand", "each column once", "it 2 times"),
    (".item", "price:float", "material", 1, "material", "the header material:token", "'material'"),
    (".item", "price:float", ":float", 1, "(no name)", "one of the columns", "':float'"),
    (".item", "price:float", "weight:float\tweight:float", 1, "weight", "once", "2 times"),
    (".item", "brand:token\t", "", 1, "brand", "a column brand:token", "found"),
]


@pytest.mark.parametrize(("file", "old", "new", "line", "column", "expected", "found"), REFUSED)
def test_errors_name_their_place(
    tmp_path: Path, file: str, old: str, new: str, line: int, column: str | None, expected: str, found: str
) -> None:
    texts = {".inter": INTER, ".search": SEARCH, ".item": ITEM}
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new, 1)
    error = refused(make(tmp_path / "shoes", *texts.values()))
    assert (error.file, error.line, error.column) == ("shoes" + file, line, column)
    assert expected in error.expected and found in str(error)


def test_invalid_utf8(tmp_path: Path) -> None:
    folder = make(tmp_path / "shoes")
    (folder / "shoes.item").write_bytes(ITEM.encode().replace(b"Boot", b"Bo\xff\xfet"))
    error = refused(folder)
    assert (error.file, error.line) == ("shoes.item", 3) and "0xff" in str(error)


def test_missing_and_misnamed_files_name_the_nearest(tmp_path: Path) -> None:
    folder = make(tmp_path / "shoes")
    (folder / "shoes.item").rename(folder / "shoe.item")
    assert refused(folder).file == "shoes.item" and "nearest is shoe.item" in str(refused(folder))
    (folder / "shoe.item").rename(folder / "shoes.item")
    (folder / "shoes.search").rename(folder / "shoes.serach")
    assert refused(folder).file == "shoes.search" and "shoes.serach" in str(refused(folder))
    with pytest.raises(AtomicError, match=r"no such folder; the nearest is .*shoes;"):
        read_folder(tmp_path / "shoess")


def test_a_long_cell_is_cut_in_the_message(tmp_path: Path) -> None:
    error = refused(make(tmp_path / "shoes", inter=INTER.replace("click", "c" * 100_000)))
    assert len(str(error)) < 500
