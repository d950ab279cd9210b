"""`convert recbole`: anybody's `.inter` and `.item`, typed headers, token_seq text."""

from pathlib import Path
from typing import Any

import pytest
import recbole

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.sources.recbole import Fields, RecBoleDataset
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, invoke, rows

INTER = """user_id:token\titem_id:token\trating:float\ttimestamp:float
u1\t2\t4.0\t20
u2\t1\t1.0\t5
u1\t1\t5.0\t10.5
u2\t2\t3.0\t7
u3\t1\t3.0\t7
"""
ITEM = """item_id:token\ttitle:token_seq\tcategories:token_seq\tbrand:token\tsales_rank:float
1\tToy "Story" (1995)\tAnimation Children's\tPixar\t1
2\tGolden  Eye\t\tNA
3\tNobody's\t\t\t3
"""


def write(folder: Path, inter: str = INTER, item: str = ITEM) -> Path:
    (folder / "ml").mkdir(exist_ok=True)
    (folder / "ml/ml.inter").write_text(inter)
    if item:
        (folder / "ml/ml.item").write_text(item)
    return folder / "ml"


def convert(folder: Path, inter: str = INTER, item: str = ITEM, **options: Any) -> tuple[AtomicFolder, str]:
    settings = {key: options.pop(key) for key in ("core", "all_items") if key in options}
    limits = {key: options.pop(key) for key in ("drops_unknown", "max_broken") if key in options}
    fields = Fields(**{"title": "title", "category": "categories", "brand": "brand", **options})
    source = RecBoleDataset(write(folder, inter, item), fields, **{"max_broken": 0.4, **limits})
    _, notes = convert_source(source, ConvertSettings(folder / "out", **settings))
    return check_readme(folder / "out"), "\n".join(notes)


def test_literal_conversion(tmp_path: Path) -> None:
    item = ITEM.replace("NA\n", "NA\t2\n")
    found, notes = convert(tmp_path, item=item, all_items=True)
    assert rows(found.interactions) == [
        ["u1", "1", "purchase", 10.5],
        ["u1", "2", "purchase", 20.0],
        ["u2", "1", "purchase", 5.0],
        ["u2", "2", "purchase", 7.0],
    ]
    assert rows(found.items) == [
        ["1", 'Toy "Story" (1995)', "Pixar", "", "", "Animation Children's"],
        ["2", "Golden Eye", "NA", "", "", ""],
        ["3", "Nobody's", "", "", "", ""],
    ]
    assert "from 1970-01-01 to 1970-01-01" in notes


def test_further_columns(tmp_path: Path) -> None:
    found, _ = convert(
        tmp_path, item=ITEM.replace("NA\n", "NA\t2\n"), further={"rank": "sales_rank", "path": "categories"}
    )
    assert found.further == {"rank": "token", "path": "token"}
    assert found.items[["category", "rank", "path"]].values.tolist() == [
        ["Animation Children's", "1", "Animation Children's"],
        ["", "2", ""],
    ]


def test_a_line_of_another_length_is_counted_and_its_item_missed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"2 actions with 1 items that have no title.*first '2'.*--drop-unknown-items"):
        convert(tmp_path)
    more = INTER + "u1\t1\t1.0\t30\nu1\t1\t1.0\n"
    found, notes = convert(tmp_path, more, drops_unknown=True)
    assert found.interactions["item_id"].tolist() == ["1", "1"]
    assert "ml.item: 1 lines left out: another number of fields" in notes and "ml.inter: 1 lines" in notes


def test_actions(tmp_path: Path) -> None:
    inter = INTER.replace("rating:float", "behavior:token").replace("\t4.0\t", "\tbuy\t").replace("\t1.0\t", "\tView\t")
    inter = inter.replace("\t5.0\t", "\tpv\t").replace("\t3.0\t", "\tadd_to_cart\t")
    item = ITEM.replace("NA\n", "NA\t2\n")
    with pytest.raises(UserError, match=r"ml\.inter, column behavior: expected one of .*found 'pv'; rename it"):
        convert(tmp_path, inter, item, action="behavior")
    found, _ = convert(tmp_path, inter.replace("\tpv\t", "\tclick\t"), item, action="behavior")
    assert rows(found.interactions) == [["u1", "1", "click", 10.5], ["u1", "2", "purchase", 20.0]]


def test_times_that_are_none_are_counted(tmp_path: Path) -> None:
    item = ITEM.replace("NA\n", "NA\t2\n")
    bad = "".join(f"u1\t1\t1\t{time}\n" for time in ("nan", "-1", "", "inf", "x"))
    found, notes = convert(tmp_path, INTER + bad + "\t1\t1\t5\nu1\t\t1\t5\n", item, max_broken=0.6)
    assert len(found.interactions) == 4 and "ml.inter: 2 lines left out: no user or no item" in notes
    expected = "expected a number of seconds since 1970, 0 or more and below 1e11, found 'nan'"
    assert f"ml.inter: 5 lines left out: column timestamp: {expected}" in notes


REFUSED = [
    ({"title": "titel"}, "ml.item: no column 'titel' among 'item_id', 'title'"),
    ({"title": "sales_rank"}, "column 'sales_rank': expected the type token or token_seq, found 'float'"),
    ({"time": "rating2"}, "ml.inter: no column 'rating2'"),
    ({"time": "item_id"}, "column 'item_id': expected the type float, found 'token'"),
    ({"item": ""}, "ml.item: no such file"),
    ({"inter": INTER.replace("\t", ",")}, "ml.inter: no column 'user_id' among 'user_id:token,item_id:token"),
    ({"inter": INTER.splitlines()[0] + "\n"}, "ml.inter: no lines"),
    ({"item": ITEM.replace("NA\n", "NA\t2\n") + "1\ta\tb\tc\t1\n"}, "expected each item once, found '1' twice"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=[text for _, text in REFUSED])
def test_errors(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        convert(tmp_path, **changes)
    assert expected in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(UserError, match=r"no such folder; the nearest is .*ml"):
        RecBoleDataset(tmp_path / "ml1", Fields("title"))
    (tmp_path / "ml/ml.part2.inter").write_text(INTER)
    with pytest.raises(UserError, match=r"expected one \.inter file, found ml\.inter, ml\.part2\.inter"):
        RecBoleDataset(tmp_path / "ml", Fields("title"))


def test_recboles_own_ml_100k(tmp_path: Path) -> None:
    source = Path(recbole.__file__).parent / "dataset_example" / "ml-100k"
    out = tmp_path / "ml"
    fields = ["--title", "movie_title", "--category", "class", "--out", str(out)]
    assert f"written: {out}" in invoke("recbole", str(source), *fields, "--queries", "category")
    found = check_readme(out)
    assert (found.interactions["user_id"].nunique(), len(found.interactions), len(found.items)) == (943, 100_000, 1682)
    assert rows(found.items)[0] == ["1", "Toy Story", "", "", "", "Animation Children's Comedy"]


def test_repeated_rows_are_kept_and_counted(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, INTER + "u2\t1\t5.0\t5\n", ITEM.replace("NA\n", "NA\t2\n"))
    warning = "warning: 1 rows repeat an earlier one (same user, item, action and time) and are kept"
    assert warning in notes.splitlines()
    assert found.interactions["user_id"].tolist().count("u2") == 3


def test_users_and_items_outside_the_core_are_counted(tmp_path: Path) -> None:
    _, notes = convert(tmp_path, item=ITEM.replace("NA\n", "NA\t2\n"), core=2)
    line = "actions outside the 2-core left out: 1; users without any left: 1, items: 0"
    assert line in notes.splitlines()
