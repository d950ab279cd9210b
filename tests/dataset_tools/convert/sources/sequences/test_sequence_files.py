"""`convert sequences` on hand-written lines, and on the result that is known of real ones."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries
from recbole_llmfashion.dataset_tools.convert.sources.sequences.sequence_files import SequenceFiles
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, invoke, rows
from tests.helpers.fakes import real_data

SEQUENCES = "A1 B7 B2 B7\nA2  B2 B3\r\n\nA3 B3\n"
ITEMS = "B2 title: red boots; brand: Vela\nB3 green hat\nB7 title: socks; categories: shoes\nB7 again\nB9 title: \n"


def convert(folder: Path, sequences: str = SEQUENCES, items: str = ITEMS, **options: Any) -> tuple[AtomicFolder, str]:
    (folder / "user_sequence.txt").write_text(sequences)
    (folder / "item_plain_text.txt").write_text(items)
    source_options = {key: options.pop(key) for key in ("drops_unknown", "max_broken") if key in options}
    source = SequenceFiles(folder / "user_sequence.txt", folder / "item_plain_text.txt", **source_options)
    _, notes = convert_source(source, ConvertSettings(folder / "shop", **options))
    return check_readme(folder / "shop"), "\n".join(notes)


def test_conversion(tmp_path: Path) -> None:
    found, notes = convert(tmp_path)
    assert rows(found.interactions) == [
        ["A1", "B7", "purchase", 0.0],
        ["A1", "B2", "purchase", 1.0],
        ["A1", "B7", "purchase", 2.0],
        ["A2", "B2", "purchase", 0.0],
        ["A2", "B3", "purchase", 1.0],
    ]
    assert rows(found.items) == [
        ["B2", "red boots", "Vela", "", "", ""],
        ["B3", "green hat", "", "", "", ""],
        ["B7", "socks", "", "", "", "shoes"],
    ]
    assert "user_sequence.txt: 3 sequences" in notes and "1 with fewer than two item actions" in notes
    assert "left out 0 items without a title and 1 repeated ones" in notes
    assert "a time is its position" in (tmp_path / "shop/README.md").read_text()


def test_derived_queries_and_all_items(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, queries=DerivedQueries.category, all_items=True)
    assert rows(found.searches)[0] == ["A1", 0.5, "shoes", ""] and "left out 1 items without a title" in notes


def test_items_of_grlm(tmp_path: Path) -> None:
    (tmp_path / "sequential_data.txt").write_text("1 2 1 2\n")
    path = tmp_path / "beauty.item.json"
    path.write_text(json.dumps({"1": {"title": "Mask"}, "2": {"title": "Soap", "categories": "Beauty > Soaps"}}))
    files = ["--sequences", str(tmp_path / "sequential_data.txt"), "--items", str(path)]
    invoke("sequences", *files, "--out", str(tmp_path / "shop"))
    assert check_readme(tmp_path / "shop").items["category"].tolist() == ["", "Beauty > Soaps"]


def test_further_fields(tmp_path: Path) -> None:
    convert(tmp_path, items="B2 title: boots; material: leather; price: 5\nB3 hat\nB7 title: socks; price: 2.5\n")
    files = ["--sequences", str(tmp_path / "user_sequence.txt"), "--items", str(tmp_path / "item_plain_text.txt")]
    more = ["--attribute", "price", "--attribute", "fabric=material"]
    invoke("sequences", *files, "--out", str(tmp_path / "x"), *more)
    found = check_readme(tmp_path / "x").items
    assert found["title"].tolist() == ["boots", "hat", "socks"] and found["fabric"].tolist() == ["leather", "", ""]
    assert found["price"].tolist()[::2] == [5.0, 2.5]


def test_unknown_items_are_an_error_or_counted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 actions with 1 items .* first 'B8'; .* add --drop-unknown-items"):
        convert(tmp_path, "A1 B7 B8 B2\n")
    found, notes = convert(tmp_path, "A1 B7 B8 B2\n", drops_unknown=True)
    assert (
        len(found.interactions) == 2 and "1 actions with 1 items that have no title in the catalogue left out" in notes
    )


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, SEQUENCES + "A4\nA1 B2 B3\n", max_broken=0.5)
    assert rows(found.interactions) == rows(convert(tmp_path)[0].interactions)
    assert "1 lines left out: expected a user and items, separated by spaces" in notes
    assert "1 lines left out: a user of an earlier line" in notes


REFUSED = [
    (("",), "user_sequence.txt: no lines; is this the right file?"),
    ((SEQUENCES, ""), "item_plain_text.txt: no lines; is this the right file?"),
    (("A\nB\n",), "user_sequence.txt: 2 of 2 lines are broken"),
    ((ITEMS, SEQUENCES), "items that have no title in the catalogue"),
]


@pytest.mark.parametrize(("texts", "expected"), REFUSED, ids=[text for _, text in REFUSED])
def test_errors(tmp_path: Path, texts: tuple[str, ...], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        convert(tmp_path, *texts, **({"max_broken": 0.5} if texts[0] == ITEMS else {}))
    assert expected in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "shop").exists()


@pytest.mark.slow
def test_the_sequences_of_amazon_beauty_come_back(tmp_path: Path) -> None:
    """Written as IDGenRec writes them and converted, the users, items and order are those of the table."""
    source = real_data("amazon_beauty")
    log = pd.read_csv(source / "interactions.csv", dtype=str)
    items = pd.read_csv(source / "items.csv", dtype=str, keep_default_na=False)
    lines = [f"{user} {' '.join(part)}\n" for user, part in log.groupby("user_id", sort=False)["item_id"]]
    text = [f"{item} {title}\n" for item, title in items[["item_id", "title"]].itertuples(index=False)]
    found, _ = convert(tmp_path, "".join(lines), "".join(text))
    assert rows(found.interactions[["user_id", "item_id"]]) == rows(log[["user_id", "item_id"]])
    assert found.interactions["timestamp"].tolist() == log["order"].astype(float).tolist()
    assert rows(found.items[["item_id", "title"]]) == rows(items[["item_id", "title"]])
