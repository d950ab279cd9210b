"""`convert hm` on rows in the published columns: literal files, the order within a day, queries that never leak."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries
from recbole_llmfashion.dataset_tools.convert.readers import csv_stream
from recbole_llmfashion.dataset_tools.convert.sources.hm import HM
from recbole_llmfashion.dataset_tools.convert.sources.hm_queries import HMQueries
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, invoke, rows

ARTICLES = """article_id,product_code,prod_name,product_type_no,product_type_name,product_group_name,\
graphical_appearance_no,graphical_appearance_name,colour_group_code,colour_group_name,perceived_colour_value_id,\
perceived_colour_value_name,perceived_colour_master_id,perceived_colour_master_name,department_no,department_name,\
index_code,index_name,index_group_no,index_group_name,section_no,section_name,garment_group_no,garment_group_name,\
detail_desc
0108775015,0108775,Strap top,253,Vest top,Garment Upper body,1010016,Solid,09,Black,4,Dark,5,Black,1676,Jersey Basic,\
A,Ladieswear,1,Ladieswear,16,Womens Everyday Basics,1002,Jersey Basic,"Jersey top with ""narrow"" shoulder straps,
lined."
0110065001,0110065,OP T-shirt (Idro),306,Bra,Underwear,1010016,Solid,10,White,3,Light,9,White,1339,Clean Lingerie,\
B,Lingeries/Tights,1,Ladieswear,61,Womens Lingerie,1017,"Under-, Nightwear",Microfibre T-shirt bra.
0500000003,0500000,Tigra knitted headband,74,Hair/alice band,Accessories,1010016,Solid,,,-1,,-1,,1,Hair,C,\
Ladies Accessories,1,Ladieswear,65,Womens Big accessories,1019,Accessories,
0600000004,0600000,,74,Hat,Accessories,1,Solid,9,Black,4,Dark,5,Black,1,Hats,C,Ladies Accessories,1,Ladieswear,65,x,1,x,
"""
STRAPS = 'Jersey top with "narrow" shoulder straps, lined.'
A, B = "a" * 64, "b" * 64
TRANSACTIONS = f"""t_dat,customer_id,article_id,price,sales_channel_id
2018-09-20,{A},0110065001,0.0304915,2
2018-09-20,{B},0500000003,0.01,1
2018-09-20,{A},0108775015,0.0508305,2
2018-09-20,{A},0110065001,0.0304915,2
2018-09-22,{B},0108775015,0.05,1
2018-09-22,{A},0500000003,0.01,1
"""
QUERIES = """query_id,transaction_id,query_text
0,0,white t-shirt bra
1,5,knitted headband
2,1,"hair band, knitted"
3,2,black vest top
4,99,of no transaction
5,x,no number
6,4,
"""
QRELS = """query_id,positive_ids,negatives_ids
0,110065001,108775015 500000003
1,500000003,108775015
2,500000003,110065001
3,108775015,110065001
"""
SEP_20 = 1_537_401_600.0  # 2018-09-20 00:00 UTC
SEP_22 = SEP_20 + 172_800


def write(folder: Path, **texts: str) -> dict[str, Path]:
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    return {name: folder / f"{name}.csv" for name in texts}


def convert(
    folder: Path,
    transactions: str = TRANSACTIONS,
    articles: str = ARTICLES,
    queries: str | None = None,
    qrels: str | None = None,
    first: int = 0,
    max_broken: float = 0.01,
    further: dict[str, str] | None = None,
    **settings: Any,
) -> tuple[AtomicFolder, str]:
    files = write(folder, articles=articles, transactions=transactions, queries=queries or "", qrels=qrels or "")
    written = None
    if queries is not None:
        written = HMQueries(files["queries"], first, None if qrels is None else files["qrels"])
    source = HM(files["articles"], files["transactions"], written, max_broken, further=further)
    _, notes = convert_source(source, ConvertSettings(folder / "hm", **settings))
    return check_readme(folder / "hm"), "\n".join(notes)


def test_conversion(tmp_path: Path) -> None:
    found, notes = convert(tmp_path)
    assert rows(found.interactions) == [
        [A, "0110065001", "purchase", SEP_20],
        [A, "0108775015", "purchase", SEP_20 + 1],
        [A, "0500000003", "purchase", SEP_22],
        [B, "0500000003", "purchase", SEP_20],
        [B, "0108775015", "purchase", SEP_22],
    ]
    path = "Ladieswear > Garment Upper body > Vest top"
    assert rows(found.items) == [
        ["0108775015", "Strap top", "", "Black", "", path, "Solid", "Jersey Basic", STRAPS],
        [
            "0110065001",
            "OP T-shirt (Idro)",
            "",
            "White",
            "",
            "Ladieswear > Lingeries/Tights > Underwear > Bra",
            "Solid",
            "Clean Lingerie",
            "Microfibre T-shirt bra.",
        ],
        [
            "0500000003",
            "Tigra knitted headband",
            "",
            "",
            "",
            "Ladieswear > Ladies Accessories > Accessories > Hair/alice band",
            "Solid",
            "Hair",
            "",
        ],
    ]
    assert found.further == {"pattern": "token", "department": "token", "description": "token"}
    assert "pattern 100.0%, department 100.0%, description 66.7%" in (tmp_path / "hm/README.md").read_text()
    assert "transactions.csv: 6 transactions" in notes and "user, item, action and time left out: 1" in notes
    assert "their true order is unknown" in (tmp_path / "hm/README.md").read_text()


def test_attributes_of_articles(tmp_path: Path) -> None:
    """Further columns of the articles, one of them in place of a known one; a known column that is not there."""
    articles = ARTICLES.replace("department_name", "team_name")
    further = {"pattern": "perceived_colour_value_name", "section": "section_name"}
    found, _ = convert(tmp_path, articles=articles, further=further)
    assert found.further == {"description": "token", "pattern": "token", "section": "token"}
    assert found.items[["description", "pattern", "section"]].values.tolist() == [
        [STRAPS, "Dark", "Womens Everyday Basics"],
        ["Microfibre T-shirt bra.", "Light", "Womens Lingerie"],
        ["", "", "Womens Big accessories"],
    ]
    with pytest.raises(UserError, match=r"^articles.csv: no column 'detail' among .*; the nearest is 'detail_desc'$"):
        convert(tmp_path, further={"text": "detail"})
    words = ["hm", "--articles", str(tmp_path / "articles.csv"), "--transactions", str(tmp_path / "transactions.csv")]
    invoke(*words, "--out", str(tmp_path / "more"), "--attribute", "group=garment_group_name")
    assert "\tdescription:token\tgroup:token\n" in (tmp_path / "more/more.item").read_text()
    with pytest.raises(UserError, match=r"^--attribute: brand is a column of every .item; choose another name"):
        invoke(*words, "--out", str(tmp_path / "none"), "--attribute", "brand=garment_group_name")


def test_the_hubs_edition_without_leading_zeros_gives_the_same_bytes(tmp_path: Path) -> None:
    convert(tmp_path)
    (tmp_path / "hub").mkdir()
    convert(tmp_path / "hub", TRANSACTIONS.replace(",0", ",").replace("\n", "\r\n"), ARTICLES.replace("\n0", "\n"))
    for suffix in ("inter", "item"):
        assert (tmp_path / f"hub/hm/hm.{suffix}").read_bytes() == (tmp_path / f"hm/hm.{suffix}").read_bytes()


def test_queries_come_after_all_purchases_of_their_day(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, queries=QUERIES, qrels=QRELS)
    # query 1 was written from a user's final purchase: nothing may follow it
    assert rows(found.searches) == [
        [A, SEP_20 + 86_399, "white t-shirt bra", ""],
        [A, SEP_20 + 86_399, "black vest top", ""],
        [B, SEP_20 + 86_399, "hair band, knitted", ""],
    ]
    assert "7 queries; left out 2 without text or transaction and 1 without a usable transaction" in notes
    assert "100.0% of 4 transactions are of an article that is positive by the qrels" in notes
    assert "Each was written by a model from the article" in (tmp_path / "hm/README.md").read_text()


def test_no_query_is_before_the_purchase_it_was_written_from(tmp_path: Path) -> None:
    """Whatever the order of the file: for each query, its own article was bought strictly earlier."""
    source = {"white t-shirt bra": "0110065001", "black vest top": "0108775015", "hair band, knitted": "0500000003"}
    lines = TRANSACTIONS.splitlines()
    for shift in range(1, 6):
        body = lines[1 + shift :] + lines[1 : 1 + shift]
        moved = {str(place): str((place - shift) % 6) for place in range(6)}
        selected = [line.split(",", 2) for line in QUERIES.splitlines()[1:5]]
        queries = "\n".join([QUERIES.splitlines()[0], *(f"{q},{moved[t]},{text}" for q, t, text in selected)])
        found, _ = convert(tmp_path, "\n".join([lines[0], *body]) + "\n", queries=queries, qrels=QRELS)
        assert len(found.searches) == 3
        for user, time, query, _ in rows(found.searches):
            own = found.interactions[found.interactions["user_id"] == user]
            written_from = own["timestamp"][own["item_id"] == source[query]].min()
            following = own["timestamp"][own["timestamp"] > time].min()
            assert written_from < time and following // 86_400 > written_from // 86_400


def test_first_transaction_is_checked_with_qrels(tmp_path: Path) -> None:
    from_one = QUERIES.replace("0,0,w", "0,1,w").replace("1,5,", "1,6,").replace("2,1,", "2,2,").replace("3,2,", "3,3,")
    right, _ = convert(tmp_path, queries=QUERIES, qrels=QRELS)
    shifted, notes = convert(tmp_path, queries=from_one, qrels=QRELS, first=1)
    assert rows(right.searches) == rows(shifted.searches) and "numbered from 1" in notes
    with pytest.raises(UserError, match=r"try --first-transaction 1"):
        convert(tmp_path, queries=from_one, qrels=QRELS)
    assert "was not checked (--qrels FILE)" in convert(tmp_path, queries=QUERIES)[1]


def test_blocks_of_the_stream_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = convert(tmp_path, queries=QUERIES)
    monkeypatch.setattr(csv_stream, "BLOCK_BYTES", 200)
    files = write(tmp_path, transactions=TRANSACTIONS)
    blocks = list(HM(tmp_path / "articles.csv", files["transactions"]).events())
    assert len(blocks) > 2 and sum(len(block.users) for block in blocks) == 6
    cut, _ = convert(tmp_path, queries=QUERIES)
    assert rows(cut.interactions) == rows(whole.interactions) and rows(cut.searches) == rows(whole.searches)


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    bad = [f"2018-09-31,{A},0110065001,1,2", f",{A},0110065001,1,2", f"1969-12-31,{A},0110065001,1,2"]
    bad += ["2018-09-20,,0110065001,1,2", f"2018-09-20,{A},,1,2", f"2018-09-20,{A}", "2018-09-20,a,b,1,2,3"]
    text = TRANSACTIONS + "\n".join(bad) + "\n"
    found, notes = convert(tmp_path, text, max_broken=0.6)
    assert len(found.interactions) == 5
    assert "3 lines left out: column t_dat: expected a day from 1970 to 2262, as 2020-09-22" in notes
    assert "2 lines left out: no customer or no article" in notes
    assert "2 lines left out: another number of fields than the header has" in notes
    with pytest.raises(UserError, match=r"transactions\.csv: 7 of 13 lines are broken, more than --max-broken 0\.01"):
        convert(tmp_path, text)
    with pytest.raises(UserError, match="queries cannot be matched with rows"):
        convert(tmp_path, text, queries=QUERIES, max_broken=0.6)


def test_an_article_without_a_name_takes_its_purchases_with_it(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, TRANSACTIONS + f"2018-09-22,{A},0600000004,1,2\n2018-09-22,{A},0700000000,1,2\n")
    assert len(found.interactions) == 5 and "1 articles without a name left out" in notes
    assert "2 actions with 2 items that have no title in the catalogue left out" in notes


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"articles": ARTICLES.replace("prod_name", "name")},
        "articles.csv: no column 'prod_name'",
    ),
    ({"articles": ARTICLES + "\n".join(ARTICLES.splitlines()[3:4]) + "\n"}, "articles.csv, line"),
    ({"transactions": TRANSACTIONS.replace("t_dat", "date")}, "transactions.csv: no column 't_dat'"),
    ({"transactions": ""}, "transactions.csv: no header line"),
    ({"transactions": TRANSACTIONS.splitlines()[0] + "\n"}, "transactions.csv: no lines"),
    ({"queries": "id,text\n1,a\n"}, "queries.csv: no column 'query_id'"),
    ({"queries": QUERIES, "qrels": "a,b\n1,2\n"}, "qrels.csv: no column 'query_id'"),
    ({"queries": QUERIES, "queries_": DerivedQueries.category}, "--queries: expected none for a log with searches"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=[text for _, text in REFUSED])
def test_errors(tmp_path: Path, changes: dict, expected: str) -> None:
    derive = changes.get("queries_")
    options = {key: value for key, value in changes.items() if key != "queries_"}
    with pytest.raises(UserError) as caught:
        if derive is None:
            convert(tmp_path, **options)
        else:
            files = write(tmp_path, articles=ARTICLES, transactions=TRANSACTIONS, queries=QUERIES)
            source = HM(files["articles"], files["transactions"], HMQueries(files["queries"]))
            convert_source(source, ConvertSettings(tmp_path / "hm", queries=derive))
    assert expected in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "hm").exists()


def test_bytes_that_are_no_text_are_refused_in_one_line(tmp_path: Path) -> None:
    files = write(tmp_path, articles=ARTICLES, transactions=TRANSACTIONS)
    files["transactions"].write_bytes(TRANSACTIONS.encode() + b"2018-09-20,\xff,0110065001,1,2\n")
    with pytest.raises(UserError, match=r"transactions\.csv: not readable as a table") as caught:
        convert_source(HM(files["articles"], files["transactions"]), ConvertSettings(tmp_path / "hm"))
    assert "\n" not in str(caught.value)


def test_derived_queries_come_from_an_earlier_day(tmp_path: Path) -> None:
    found, _ = _derived(tmp_path)
    assert rows(found.searches) == [
        [A, SEP_22 - 1, "garment upper body vest top", ""],
        [B, SEP_22 - 1, "ladies accessories hair alice band", ""],
    ]


def _derived(folder: Path) -> tuple[AtomicFolder, str]:
    files = write(folder, articles=ARTICLES, transactions=TRANSACTIONS)
    _, notes = convert_source(
        HM(files["articles"], files["transactions"]), ConvertSettings(folder / "hm", queries=DerivedQueries.category)
    )
    return check_readme(folder / "hm"), "\n".join(notes)


def test_the_command(tmp_path: Path) -> None:
    files = write(tmp_path, articles=ARTICLES, transactions=TRANSACTIONS, queries=QUERIES, qrels=QRELS)
    where = ["--articles", str(files["articles"]), "--transactions", str(files["transactions"])]
    out = ["--out", f"{tmp_path}/hm"]
    query_files = ["--queries-file", str(files["queries"]), "--qrels", str(files["qrels"])]
    assert f"written: {tmp_path}/hm" in invoke("hm", *where, *query_files, *out, "--since", "2018-09-20")
    assert pd.read_csv(tmp_path / "hm/hm.search", sep="\t").shape == (3, 4)
    with pytest.raises(UserError, match="add --queries-file FILE"):
        invoke("hm", *where, *out, "--qrels", str(files["qrels"]))
    with pytest.raises(UserError, match="add --articles FILE and --transactions FILE, or --download"):
        invoke("hm", *out)


def test_files_without_rows(tmp_path: Path) -> None:
    for articles, message in (
        ("", "articles.csv: no header line"),
        (ARTICLES.partition("\n")[0] + "\n", "articles.csv: expected rows below the header, found none"),
    ):
        with pytest.raises(UserError, match=f"^{message}"):
            convert(tmp_path, articles=articles)
