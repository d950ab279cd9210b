"""`convert minionerec` on hand-written windows, and on the result that is known of real ones."""

import csv
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source
from recbole_llmfashion.dataset_tools.convert.sources.sequences.windows import Windows
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import check_readme, rows
from tests.helpers.fakes import real_data

HEADER = ["user_id", "history_item_title", "item_title", "history_item_id", "item_id", "history_item_sid", "item_sid"]
TITLES = {117: "Gorilla Glue, 8 oz", 118: 'Grizzly\'s "Base"', 119: "Tape", 120: "Wire"}


def window(user: str, *items: int) -> list[str]:
    """A row as pandas writes it: a user's history and the next item."""
    *history, item = items
    sids = [f"<a_{number}><b_1>" for number in history]
    return [user, str([TITLES[i] for i in history]), TITLES[item], str(history), str(item), str(sids), f"<a_{item}>"]


def write(path: Path, windows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *windows])
    return path


TRAIN = [window("A22", 117, 118), window("A9", 120, 119), window("A22", 117, 118, 119)]
VALID = [window("A22", 118, 119, 120)]  # the history is cut to its last items
TEST = [window("A22", 119, 120, 117), window("A9", 118, 117)]


def convert(folder: Path, *splits: list[list[str]], max_broken: float = 0.01) -> tuple[AtomicFolder, str]:
    files = [write(folder / f"part{number}.csv", windows) for number, windows in enumerate(splits)]
    _, notes = convert_source(Windows(files, max_broken), ConvertSettings(folder / "shop"))
    return check_readme(folder / "shop"), "\n".join(notes)


def test_conversion(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, TRAIN, VALID, TEST)
    assert rows(found.interactions) == [
        *(["A22", item, "purchase", float(place)] for place, item in enumerate(["117", "118", "119", "120", "117"])),
        *(["A9", item, "purchase", float(place)] for place, item in enumerate(["120", "119", "118", "117"])),
    ]
    assert dict(zip(found.items["item_id"], found.items["title"], strict=True)) == {
        str(item): title for item, title in TITLES.items()
    }
    assert "part0.csv: 3 windows" in notes
    assert "joined to 2 sequences; 0 were parts of earlier ones, 1 do not overlap and follow after a gap" in notes


def test_windows_of_earlier_ones_and_other_titles_are_counted(tmp_path: Path) -> None:
    renamed = [cell.replace("Gorilla", "Gorillas") for cell in TRAIN[0]]
    found, notes = convert(tmp_path, TRAIN, [*VALID, renamed, VALID[0]], TEST)
    assert rows(found.interactions) == rows(convert(tmp_path, TRAIN, VALID, TEST)[0].interactions)
    assert "2 were parts of earlier ones" in notes and "first title ignored: 1" in notes
    assert found.items["title"].tolist()[0] == TITLES[117]


BROKEN: list[list[Any]] = [
    ["A1", "[]", "Tape", "__import__('os').getcwd()", 119, "[]", ""],
    ["A1", "[]", "Tape", "(117,)", 119, "[]", ""],
    ["A1", "['a'", "Tape", "[117]", 119, "[]", ""],
    ["A1", "['a', 'b']", "Tape", "[117]", 119, "[]", ""],
    ["", "['a']", "Tape", "[117]", 119, "[]", ""],
    ["A1", "['a']", "Tape", "[None]", 119, "[]", ""],
    ["A1", "['a']"],
]


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    found, notes = convert(tmp_path, TRAIN + BROKEN, VALID, TEST, max_broken=0.8)
    assert rows(found.interactions) == rows(convert(tmp_path, TRAIN, VALID, TEST)[0].interactions)
    assert "3 lines left out: history_item_id or history_item_title is not a list" in notes
    assert "1 lines left out: history_item_title and history_item_id have different lengths" in notes
    assert "2 lines left out: no user_id, or an item without an id" in notes
    assert "1 lines left out: another number of fields than the header has" in notes


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"part0\.csv: 7 of 7 lines are broken"):
        convert(tmp_path, BROKEN)
    with pytest.raises(UserError, match=r"part1\.csv: no lines"):
        convert(tmp_path, TRAIN, [])
    (tmp_path / "info.csv").write_text("sid,title,id\n1,2,3\n")
    with pytest.raises(UserError, match=r"info\.csv: no column 'user_id' among 'sid', 'title', 'id'"):
        Windows([tmp_path / "info.csv"])
    with pytest.raises(UserError, match="no such file"):
        Windows([tmp_path / "gone.csv"])
    assert not (tmp_path / "shop").exists()


@pytest.mark.slow
def test_the_sequences_of_amazon_office_come_back(tmp_path: Path) -> None:
    """Cut into windows of at most ten items and converted, the users, items and order are those of the table."""
    source = real_data("amazon_office")
    log = pd.read_csv(source / "interactions.csv", dtype=str)
    titles = pd.read_csv(source / "items.csv", dtype=str, keep_default_na=False).set_index("item_id")["title"]
    windows = []
    for user, items in log.groupby("user_id", sort=False)["item_id"].agg(list).items():
        for end in range(1, len(items)):
            history = items[max(0, end - 10) : end]
            names = [titles[item] for item in history]
            numbers = [int(item) for item in history]
            windows.append([user, str(names), titles[items[end]], str(numbers), items[end], "[]", ""])
    found, _ = convert(tmp_path, windows)
    assert rows(found.interactions[["user_id", "item_id"]]) == rows(log[["user_id", "item_id"]])
    kept = titles[found.items["item_id"]].str.split().str.join(" ").tolist()
    assert found.items["title"].tolist() == kept
