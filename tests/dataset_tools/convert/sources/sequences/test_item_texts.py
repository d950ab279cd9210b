"""Items of sequence files: lines with and without fields, and JSON objects."""

import json
from pathlib import Path

import pytest

from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
from recbole_llmfashion.dataset_tools.convert.sources.sequences.item_texts import fields_of, read_items
from recbole_llmfashion.errors import UserError

GRAM = (
    "B00DJQQEGQ title: shea butter 100 natural; brand: na; categories: beauty, skin care, body;"
    " description: would you like: a glow; note: yes; price: 17.97; salesrank: beauty: 20924"
)
LINES = [
    (GRAM, ("B00DJQQEGQ", ("shea butter 100 natural", "", "", "", "beauty, skin care, body"))),
    ("7806397051 wawo 15 color makeup", ("7806397051", ("wawo 15 color makeup", "", "", "", ""))),
    ("1 name: Cafe; categories: Food", ("1", ("Cafe", "", "", "", "Food"))),
    ("1 title: a; title: b; brand: Vela; color: red; size: 8", ("1", ("a", "Vela", "red", "8", ""))),
    ("1 title: ; brand: Vela", ("1", ("", "Vela", "", "", ""))),
    ("1 unknown", ("1", ("unknown", "", "", "", ""))),
    ("1 boots with title: red", ("1", ("boots with title: red", "", "", "", ""))),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_lines(tmp_path: Path, line: str, expected: tuple) -> None:
    path = tmp_path / "items.txt"
    path.write_text(f"{line}\n")
    assert list(read_items(path, BrokenLines("items.txt"))) == [expected]


def test_a_description_keeps_its_colons() -> None:
    assert fields_of(GRAM.partition(" ")[2])["description"] == "would you like: a glow; note: yes"


def test_lines_that_are_no_items(tmp_path: Path) -> None:
    path = tmp_path / "items.txt"
    path.write_bytes(b"1 boots\n2\n\n3 \xff\n4 hats\n")
    broken = BrokenLines("items.txt", max_share=1.0)
    assert [item for item, _ in read_items(path, broken)] == ["1", "4"]
    assert broken.n_lines == 4 and dict(broken.reasons) == {"expected an id, a space and a text": 2}


def test_a_json_object(tmp_path: Path) -> None:
    path = tmp_path / "beauty.item.json"
    item = {"title": "Phyto Mask, 6.7 Ounce", "description": "x", "categories": "Beauty > Hair Care", "sid": "<s_a_99>"}
    listed = {"title": "A", "brand": "Vela", "categories": ["Beauty", "Hair Care"]}
    path.write_text(json.dumps({"1": item, "2": listed, "3": "text", " ": item}))
    broken = BrokenLines(path.name, max_share=1.0)
    assert list(read_items(path, broken)) == [
        ("1", ("Phyto Mask, 6.7 Ounce", "", "", "", "Beauty > Hair Care")),
        ("2", ("A", "Vela", "", "", "Beauty > Hair Care")),
    ]
    assert broken.n_lines == 4 and broken.count == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{", "not a JSON file"), ("[1]", "expected an object with a key per item"), ("", "not a JSON")],
)
def test_a_file_that_is_no_object(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "beauty.item.json"
    path.write_text(text)
    with pytest.raises(UserError, match=f"beauty.item.json: {expected}") as caught:
        list(read_items(path, BrokenLines(path.name)))
    assert "\n" not in str(caught.value)
