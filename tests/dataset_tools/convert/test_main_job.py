"""What each converter writes runs through the main job."""

import json
from pathlib import Path

import pytest

from recbole_llmfashion.cli.train import main
from tests.helpers.convert import LOG_ACTIONS, LOG_USERS, amazon, check_readme, hm, invoke, recbole, rows
from tests.helpers.convert_published import PUBLISHED, diginetica, rent_the_runway
from tests.helpers.fakes import real_data

QUICK = (rent_the_runway, diginetica)  # a log of days with text attributes, and one with clicks and searches


@pytest.mark.parametrize(
    "write", [pytest.param(write, marks=[] if write in QUICK else [pytest.mark.slow]) for write in PUBLISHED]
)
def test_popularity_and_seqknn_run_on_it(tmp_path: Path, write) -> None:
    invoke(*write(tmp_path), "--out", str(tmp_path / "shop"))
    options = {"data_path": tmp_path, "checkpoint_dir": tmp_path / "saved", "show_progress": False}
    keys = [f"--{key}={value}" for key, value in options.items()]
    assert main(["--model=Popularity,SeqKNN", "--dataset=shop", f"--output={tmp_path / 'out'}", *keys]) == 0
    models = json.loads((tmp_path / "out/results.json").read_text())["models"]
    assert [(row["status"], row["rows"]["test"]) for row in models.values()] == [("ok", LOG_USERS)] * 2


@pytest.mark.parametrize("write", [amazon, hm, recbole])
def test_sasrec_runs_on_it(tmp_path: Path, write) -> None:
    invoke(*write(tmp_path), "--queries", "category", "--out", str(tmp_path / "shop"))
    assert len(check_readme(tmp_path / "shop").searches) == LOG_USERS * (LOG_ACTIONS - 1)
    options = {"data_path": tmp_path, "checkpoint_dir": tmp_path / "saved", "epochs": 1, "show_progress": False}
    keys = [f"--{key}={value}" for key, value in options.items()]
    assert main(["--model=SASRec", "--dataset=shop", f"--output={tmp_path / 'out'}", *keys]) == 0
    row = json.loads((tmp_path / "out/results.json").read_text())["models"]["SASRec"]
    assert row["status"] == "ok" and row["rows"]["test"] == LOG_USERS


def test_amazon_office_with_derived_searches(tmp_path: Path) -> None:
    """Real titles: searches are words of an earlier item's title, one before each action but a user's first."""
    source = real_data("amazon_office")
    columns = ["--user", "user_id", "--item", "item_id", "--time", "order", "--title", "title", "--brand", "brand"]
    files = ["--interactions", f"{source}/interactions.csv", "--items", f"{source}/items.csv"]
    invoke("table", *files, *columns, "--queries", "category", "--out", str(tmp_path / "office"))
    found = check_readme(tmp_path / "office")
    assert (found.interactions["user_id"].nunique(), len(found.interactions)) == (3231, 22447)
    # a first action has no earlier item; orders are whole numbers, so a search is halfway
    assert len(found.searches) == 22447 - 3231 and set(found.searches["timestamp"] % 1) == {0.5}
    titles = found.items.set_index("item_id")["title"].str.lower()
    earlier = found.interactions.assign(timestamp=found.interactions["timestamp"] + 0.5)
    pairs = found.searches.merge(earlier, on=["user_id", "timestamp"], validate="one_to_one")
    assert len(pairs) == len(found.searches)
    assert all(word in titles[item] for query, item in pairs[["query", "item_id"]].to_numpy() for word in query.split())
    assert "**DERIVED, not typed by users.**" in (tmp_path / "office/README.md").read_text()
    # A994's first purchase: "BIC 4 Color Fashion Ball Pen, Medium Point (1.0mm), Assorted, 1-Count"
    assert rows(found.searches)[0] == ["A994", 0.5, "bic color fashion ball", ""]
