"""`convert table`: literal conversions, refusals with their line, and two real logs."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from recbole_llmfashion.cli.convert import register
from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.dataset_tools.convert.attributes import parse_attributes
from recbole_llmfashion.dataset_tools.convert.sources.table import TableColumns, convert_table
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import invoke

SHARED = Path(os.environ.get("LLMFASHION_SHARED", Path(__file__).parents[5] / "shared")) / "data"
EVENTS = "who,what,when,how\nu2,b,5,buy\nu1,a,2,View\nu1,b,9,ORDER\nu2,a,1,add_to_cart\n"
ITEMS = 'what,name,maker\na,"Red, ""5""\nshoe",NA\nb,Boot,\n'
SEARCHES = "who,when,typed,shown\nu1,1,red shoe,b|a\nu2,5,,a\nu2,4,boot,\n,4,hat,a\n"
COLUMNS = TableColumns(user="who", item="what", time="when", title="name", action="how", brand="maker")


def write(folder: Path, **texts: str) -> dict[str, Path]:
    for name, text in texts.items():
        (folder / f"{name}.csv").write_bytes(text.encode())
    return {name: folder / f"{name}.csv" for name in texts}


def convert(folder: Path, events: str = EVENTS, items: str = ITEMS, **changes: Any) -> tuple[AtomicFolder, str]:
    paths = write(folder, events=events, items=items)
    columns = TableColumns(**{**COLUMNS.__dict__, **changes})
    written, notes = convert_table(paths["events"], paths["items"], columns, folder / "shop")
    check_clean(read_folder(folder / "shop"))
    return written, "\n".join(notes)


def refusal(folder: Path, events: str = EVENTS, items: str = ITEMS, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        convert(folder, events, items, **changes)
    assert "\n" not in str(caught.value) and not (folder / "shop").exists()
    return str(caught.value)


def test_conversion_with_searches(tmp_path: Path) -> None:
    paths = write(tmp_path, events=EVENTS, items=ITEMS, searches=SEARCHES)
    columns = TableColumns(**{**COLUMNS.__dict__, "query": "typed", "results": "shown"})
    _, notes = convert_table(paths["events"], paths["items"], columns, tmp_path / "shop", paths["searches"])
    found = read_folder(tmp_path / "shop")
    assert found.interactions.values.tolist() == [
        ["u2", "a", "click", 1.0],
        ["u2", "b", "purchase", 5.0],
        ["u1", "a", "click", 2.0],
        ["u1", "b", "purchase", 9.0],
    ]
    assert found.searches.values.tolist() == [["u2", 4.0, "boot", ""], ["u1", 1.0, "red shoe", "b a"]]
    assert found.items.values.tolist() == [["a", 'Red, "5" shoe', "NA", "", "", ""], ["b", "Boot", "", "", "", ""]]
    message = "\n".join(notes)
    assert (
        "1 searches without a query" in message and "1 rows without a user" in message and "kept as seconds" in message
    )


def test_further_columns(tmp_path: Path) -> None:
    items = "what,name,maker,season,fabric,price\na,Shoe,NA,winter,red wool,9.50\nb,Boot,,,,\n"
    _, notes = convert(tmp_path, items=items, further=parse_attributes(["fabric", "season", "price"]))
    found = read_folder(tmp_path / "shop")
    assert found.further == {"fabric": "token"}
    assert found.items[["season", "fabric"]].values.tolist() == [["winter", "red wool"], ["", ""]]
    assert found.items["price"].iloc[0] == 9.5 and np.isnan(found.items["price"].iloc[1])
    assert "fabric 50.0%, season 50.0%, price 50.0%" in (tmp_path / "shop/README.md").read_text()
    assert "empty for every item" not in notes


def test_further_columns_under_other_names(tmp_path: Path) -> None:
    long = "wool " * 40_000
    items = f"what,name,Fabric / Care,empty\na,Shoe,{long},\nb,Boot,,\n"
    _, notes = convert(
        tmp_path, items=items, brand=None, further=parse_attributes(["fabric=Fabric / Care", "x=empty", "y=name"])
    )
    found = read_folder(tmp_path / "shop")
    assert found.further == {"fabric": "token", "x": "token", "y": "token"}
    assert found.items[["fabric", "x", "y"]].values.tolist() == [[long, "", "Shoe"], ["", "", "Boot"]]
    assert "attributes that are empty for every item: x" in notes.splitlines()


NUMBER = " expected a number such as 1299.5 or an empty cell,"
REMEDY = "correct it, or keep the column as text under another name than price"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cloth",), "items.csv: no column 'cloth' among"),
        (("wool=cloth",), "items.csv: no column 'cloth' among"),
        (("price",), f"items.csv, line 3, column price:{NUMBER} found 'cheap'; {REMEDY}"),
        (("price=fabric",), f"items.csv, line 2, column fabric:{NUMBER} found 'wool'; {REMEDY}"),
        (("price=german",), f"items.csv, line 3, column german:{NUMBER} found '1.299,00'; {REMEDY}"),
    ],
)
def test_further_columns_that_cannot_be_kept(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    items = 'what,name,maker,fabric,price,german\na,Shoe,NA,wool,9.5,\nb,Boot,,,cheap,"1.299,00"\n'
    assert refusal(tmp_path, items=items, further=parse_attributes(names)).startswith(message)


@pytest.mark.parametrize("option", ["brand=maker", "a:b"])
def test_names_that_item_cannot_have(tmp_path: Path, option: str) -> None:
    paths = write(tmp_path, events=EVENTS, items=ITEMS)
    columns = ["--user", "who", "--item", "what", "--time", "when", "--action", "how", "--title", "name"]
    files = ["--interactions", str(paths["events"]), "--items", str(paths["items"]), "--out", str(tmp_path / "shop")]
    with pytest.raises(UserError, match=r"^--attribute: ") as caught:
        invoke("table", *columns, *files, "--attribute", option)
    assert "\n" not in str(caught.value) and not (tmp_path / "shop").exists()


def test_dates_are_read_as_utc(tmp_path: Path) -> None:
    events = "who,what,when\nu,a,1970-01-02\nu,b,1970-01-02T00:00:01.5\nu,a,1970-01-02 02:00:02+02:00\n"
    found, notes = convert(tmp_path, events, action=None)
    assert found.interactions["timestamp"].tolist() == [86400.0, 86401.5, 86402.0]
    assert "dates, converted to unix seconds" in notes and "no action column, every row is a purchase" in notes


def test_parquet_and_csv_give_the_same_bytes(tmp_path: Path) -> None:
    when = pd.to_datetime(["2020-01-01 10:00:00", "2020-01-01 10:00:01", "2020-01-01 10:00:02"])
    events = pd.DataFrame({"who": [7.0, 7.0, np.nan], "what": [1, 2, 1], "when": when})
    items = pd.DataFrame({"what": [1, 2], "name": ["x", "y"], "maker": [None, "m"]})
    searches = pd.DataFrame({"who": [7.0], "when": when[:1], "typed": ["q"]})
    columns = TableColumns(**{**COLUMNS.__dict__, "action": None, "query": "typed", "results": "shown"})
    digests = []
    for kind in ("csv", "parquet"):
        folder = tmp_path / kind
        folder.mkdir()
        shown = [[2, 1, *[1] * 8]] if kind == "parquet" else ["2, 1, 1|1|1|1|1|1|1|1"]
        frames = {"events": events, "items": items, "searches": searches.assign(shown=pd.Series(shown))}
        for name, frame in frames.items():
            frame = frame.astype({"who": "Int64"}) if kind == "csv" and "who" in frame else frame
            getattr(frame, f"to_{kind}")(folder / f"{name}.{kind}", index=False)
        paths = [folder / f"{name}.{kind}" for name in frames]
        found, notes = convert_table(paths[0], paths[1], columns, folder / "shop", paths[2])
        assert found.interactions["user_id"].tolist() == ["7", "7"]
        assert found.interactions["timestamp"].tolist() == [1577872800.0, 1577872801.0]
        assert found.searches["results"].tolist() == ["2 1 1 1 1 1 1 1"]
        assert any("cut to their first 8" in note for note in notes)
        digests.append(folder_sha256(folder / "shop", "shop"))
    assert digests[0] == digests[1]


def test_invalid_ids_are_renamed(tmp_path: Path) -> None:
    events = 'who,what,when\nMr X,a b,1\nMr X,"a,b",2\nMr X,a_b,3\nv,"t\tt\\",4\nv,a b,5\n'
    items = 'what,name\na b,one\n"a,b",two\na_b,three\n"t\tt\\",four\n'
    found, notes = convert(tmp_path, events, items, action=None, brand=None)
    assert found.interactions["item_id"].tolist() == ["a_b_2", "a_b_3", "a_b", "t_t\\", "a_b_2"]
    assert found.interactions["user_id"].tolist() == ["Mr_X"] * 3 + ["v"] * 2
    maps = [(tmp_path / "shop" / f"{kind}_map.tsv").read_text() for kind in ("item", "user")]
    assert maps[0] == "item_id\toriginal\na_b_2\ta b\na_b_3\ta,b\nt_t\\\tt\\tt\\\\\n"
    assert maps[1] == "user_id\toriginal\nMr_X\tMr X\n"
    assert "3 item ids" in notes
    convert(tmp_path)
    assert not list((tmp_path / "shop").glob("*_map.tsv"))


def test_items_without_a_title(tmp_path: Path) -> None:
    _, notes = convert(tmp_path, items=ITEMS + "c, ,\n,,\n")
    assert "2 items without id or title and without interactions left out" in notes
    other = tmp_path / "other"
    other.mkdir()
    message = refusal(other, EVENTS + "u2,c,2,click\n", ITEMS + "c, ,\n")
    # the quoted title of the first item spans two lines
    assert "items.csv, line 5, column name: item 'c' has interactions but no title" in message


def test_unknown_items(tmp_path: Path) -> None:
    events = EVENTS + "u2,z,2,click\nu1,y,3,click\nu2,z,3,click\n"
    message = refusal(tmp_path, events)
    assert (
        "3 rows with 2 ids not in the item table" in message
        and "first 'z'" in message
        and "--drop-unknown-items" in message
    )
    paths = write(tmp_path, events=events, items=ITEMS, searches=SEARCHES.replace("b|a", "b|y|a"))
    columns = TableColumns(**{**COLUMNS.__dict__, "query": "typed", "results": "shown"})
    with pytest.raises(UserError, match="3 rows with 2 ids not in the item table"):
        convert_table(paths["events"], paths["items"], columns, tmp_path / "shop", paths["searches"])
    places = (paths["events"], paths["items"], columns, tmp_path / "shop", paths["searches"])
    found, notes = convert_table(*places, drop_unknown_items=True)
    assert len(found.interactions) == 4 and found.searches["results"].tolist() == ["", "b a"]
    assert sum("left out" in note and "not in the item table" in note for note in notes) == 2


def test_repeated_items(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, items=ITEMS + "b,Boot,\n")
    assert len(found.items) == 2 and "1 rows that repeat an item" in notes
    other = tmp_path / "other"
    other.mkdir()
    assert "items.csv, line 5, column what: expected 'b' as in line 4, found another row" in refusal(
        other, items=ITEMS + "b,Bot,\n"
    )


REFUSED = [
    (EVENTS.replace("ORDER", "glance"), ITEMS, {}, "events.csv, line 4, column how"),
    (EVENTS.replace(",9,", ",x,"), ITEMS, {}, "events.csv, line 4, column when: expected a number of seconds"),
    (EVENTS.replace(",9,", ",-9,"), ITEMS, {}, "events.csv, line 4, column when"),
    (EVENTS.replace(",9,", ",nan,"), ITEMS, {}, "events.csv, line 4, column when"),
    (EVENTS.replace("u1,b", "u1,"), ITEMS, {}, "events.csv, line 4, column what: expected an item id"),
    (EVENTS.replace("u1,b", "u1"), ITEMS, {}, "events.csv, line 4: expected 4 fields"),
    (EVENTS.replace("u1,b", "u1,b,b"), ITEMS, {}, "events.csv, line 4: expected 4 fields"),
    (EVENTS, ITEMS.replace(",Boot", ',"Boot'), {}, "items.csv, line 4: unexpected end of data"),
    (
        EVENTS,
        ITEMS,
        {"title": "nam"},
        "items.csv: no column 'nam' among 'what', 'name', 'maker'; the nearest is 'name'",
    ),
    (EVENTS.replace(",", ";"), ITEMS, {}, "events.csv: expected columns separated by commas, found ';'; save"),
    (EVENTS.replace(",", "\t"), ITEMS, {}, "events.csv: expected columns separated by commas, found '\\t'; save it"),
    (EVENTS.replace("buy", "view").replace("ORDER", "view"), ITEMS, {}, "no usable user"),
    (EVENTS, ITEMS, {"query": "typed"}, "add --searches FILE"),
    ("", ITEMS, {}, "events.csv: no header line, the file is empty"),
    (EVENTS, "", {}, "items.csv: no header line, the file is empty"),
    ("who,what,when,how\n", ITEMS, {}, "events.csv: expected rows below the header, found none"),
    (EVENTS, "what,name,maker\n", {}, "items.csv: expected rows below the header, found none"),
]


@pytest.mark.parametrize(("events", "items", "changes", "expected"), REFUSED)
def test_errors_name_their_line(
    tmp_path: Path, events: str, items: str, changes: dict[str, str], expected: str
) -> None:
    assert expected in refusal(tmp_path, events, items, **changes)


def test_wrong_files_and_options(tmp_path: Path) -> None:
    paths = write(tmp_path, events=EVENTS, items=ITEMS, searches=SEARCHES)
    with pytest.raises(UserError, match=r"no such file; the nearest is .*events\.csv"):
        convert_table(tmp_path / "event.csv", paths["items"], COLUMNS, tmp_path / "shop")
    (tmp_path / "events.xlsx").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"expected the suffix \.csv"):
        convert_table(tmp_path / "events.xlsx", paths["items"], COLUMNS, tmp_path / "shop")
    (tmp_path / "events.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(UserError, match="not readable as Parquet"):
        convert_table(tmp_path / "events.parquet", paths["items"], COLUMNS, tmp_path / "shop")
    (tmp_path / "latin.csv").write_bytes(EVENTS.encode() + b"u\xe9,a,1,buy\n")
    with pytest.raises(UserError, match=r"latin\.csv, line 6: not UTF-8"):
        convert_table(tmp_path / "latin.csv", paths["items"], COLUMNS, tmp_path / "shop")
    dated = write(tmp_path, dated=SEARCHES.replace(",1,", ",2020-01-01,").replace(",4,", ",2020-01-01,"))
    with pytest.raises(UserError, match="expected times that are numbers as in the interactions, found dates"):
        convert_table(
            paths["events"],
            paths["items"],
            TableColumns(**{**COLUMNS.__dict__, "query": "typed"}),
            tmp_path / "shop",
            dated["dated"],
        )


def test_control_characters_in_cells(tmp_path: Path) -> None:
    title = "a\tb\r\nc\0d " + "x" * 200_000 + " 👟 حذاء"
    items = ITEMS + f'c,"{title}",\n'
    found, _ = convert(tmp_path, items=items)
    assert found.items["title"].iloc[2] == "a b  c d " + "x" * 200_000 + " 👟 حذاء"


def test_the_command_on_amazon_office(tmp_path: Path) -> None:
    source = SHARED / "amazon_office"
    if not source.is_dir():
        pytest.skip(f"no real data in {SHARED}: set LLMFASHION_SHARED")
    app = typer.Typer()
    register(app)
    text = f"--interactions {source}/interactions.csv --items {source}/items.csv --user user_id --item item_id"
    options = f"{text} --time order --title title --brand brand --out {tmp_path}/office".split()
    result = CliRunner().invoke(app, ["convert", "table", *options])
    assert result.exit_code == 0, result.output
    found = read_folder(tmp_path / "office")
    check_clean(found)
    assert (found.interactions["user_id"].nunique(), len(found.interactions), len(found.items)) == (3231, 22447, 3459)
    assert (found.interactions["action"] == "purchase").all()
    assert (
        found.items["title"].iloc[0]
        == "HP 74 Black & 75 Tri-color Original Ink Cartridges, 2 Cartridges (CB335WN, CB337WN)"
    )


def test_online_retail_from_parquet_with_titles_as_ids(tmp_path: Path) -> None:
    source = SHARED / "online_retail" / "online_retail.parquet"
    if not source.is_file():
        pytest.skip(f"no real data in {SHARED}: set LLMFASHION_SHARED")
    raw = pd.read_parquet(source)
    raw = raw[raw["CustomerID"].notna() & (raw["Quantity"] > 0) & (raw["UnitPrice"] > 0)]
    raw.to_parquet(tmp_path / "retail.parquet")
    columns = TableColumns(user="CustomerID", item="Description", time="InvoiceDate", title="Description")
    found, _ = convert_table(tmp_path / "retail.parquet", tmp_path / "retail.parquet", columns, tmp_path / "retail")
    check_clean(found)
    names = pd.read_csv(tmp_path / "retail" / "item_map.tsv", sep="\t", quoting=3, dtype=str)
    titles = dict(zip(found.items["item_id"], found.items["title"], strict=True))
    assert [titles[i] for i in names["item_id"]] == names["original"].tolist()
    # 17850's first invoice: 2010-12-01 08:26, whatever zone this machine is in
    assert found.interactions.iloc[0].tolist()[0::3] == ["17850", 1291191960.0]
    assert len(found.items) == raw["Description"].nunique()


def test_repeated_events_are_kept_and_counted(tmp_path: Path) -> None:
    events = EVENTS + "u1,a,2,view\nu1,a,2,buy\nu1,a,3,view\nu1,a,2,View\n"
    found, notes = convert(tmp_path, events)
    warning = "warning: 2 rows repeat an earlier one (same user, item, action and time) and are kept"
    assert warning in notes.splitlines() and len(found.interactions) == 8
    assert "repeat an earlier one" not in convert(tmp_path)[1]


def test_searches_in_another_unit(tmp_path: Path) -> None:
    searches = SEARCHES.replace("u1,1,", "u1,1700000000000,")
    paths = write(tmp_path, events=EVENTS, items=ITEMS, searches=searches)
    columns = TableColumns(**{**COLUMNS.__dict__, "query": "typed", "results": "shown"})
    message = "add --time-unit ms if every file has this unit, or divide the column by 1,000$"
    with pytest.raises(UserError, match=f"^searches.csv, line 2, column when: .*{message}"):
        convert_table(paths["events"], paths["items"], columns, tmp_path / "shop", paths["searches"])


def test_no_other_files_are_overwritten(tmp_path: Path) -> None:
    paths = write(tmp_path, events=EVENTS, items=ITEMS)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/shop.yaml").write_text("topk: 10\n")
    (tmp_path / "shop/shop.item").write_text("mine")
    message = "shop has files that convert did not write, such as shop.item; choose another folder$"
    with pytest.raises(UserError, match=message):
        convert_table(paths["events"], paths["items"], COLUMNS, tmp_path / "shop")
    assert (tmp_path / "shop/shop.item").read_text() == "mine"
    (tmp_path / "shop/shop.item").unlink()
    convert_table(paths["events"], paths["items"], COLUMNS, tmp_path / "shop")
    convert_table(paths["events"], paths["items"], COLUMNS, tmp_path / "shop")
