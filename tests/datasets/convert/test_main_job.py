"""What each converter writes runs through the main job."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from convert_fakes import check_readme, invoke, rows
from fakes import real_data

from recbole_llmfashion.run import main

USERS, ITEMS, ACTIONS = 12, 15, 5


def amazon(folder: Path, events: np.ndarray) -> list[str]:
    lines = [
        {"user_id": f"u{u}", "parent_asin": f"B{i}", "timestamp": 10**12 + t * 10**8, "verified_purchase": True}
        for u, i, t in events.tolist()
    ]
    products = [{"parent_asin": f"B{i}", "title": f"Boot {i}", "categories": ["Shoes", "Boots"]} for i in range(ITEMS)]
    for name, records in (("reviews", lines), ("metadata", products)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, records)))
    return ["amazon-2023", "--reviews", f"{folder}/reviews.jsonl", "--metadata", f"{folder}/metadata.jsonl"]


def hm(folder: Path, events: np.ndarray) -> list[str]:
    days = (np.datetime64("2019-01-01") + events[:, 2]).astype(str)
    frame = pd.DataFrame({"t_dat": days, "customer_id": events[:, 0], "article_id": events[:, 1]})
    frame.to_csv(folder / "transactions.csv", index=False)
    names = ("prod_name", "colour_group_name", "index_group_name", "index_name", "product_group_name")
    articles = pd.DataFrame({"article_id": range(ITEMS)})
    articles[[*names, "product_type_name"]] = "Boot"
    articles.to_csv(folder / "articles.csv", index=False)
    return ["hm", "--articles", f"{folder}/articles.csv", "--transactions", f"{folder}/transactions.csv"]


def recbole(folder: Path, events: np.ndarray) -> list[str]:
    (folder / "raw").mkdir()
    body = "".join(f"{u}\t{i}\t{t}\n" for u, i, t in events.tolist())
    (folder / "raw/raw.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + body)
    items = "".join(f"{i}\tBoot {i}\n" for i in range(ITEMS))
    (folder / "raw/raw.item").write_text("item_id:token\tname:token_seq\n" + items)
    return ["recbole", str(folder / "raw"), "--title", "name"]


@pytest.mark.parametrize("write", [amazon, hm, recbole])
def test_sasrec_runs_on_it(tmp_path: Path, write) -> None:
    rng = np.random.default_rng(0)
    events = np.array([(u, rng.integers(ITEMS), t) for u in range(USERS) for t in range(ACTIONS)])
    invoke(*write(tmp_path, events), "--queries", "category", "--out", str(tmp_path / "shop"))
    assert len(check_readme(tmp_path / "shop").searches) == USERS * (ACTIONS - 1)
    options = {"data_path": tmp_path, "checkpoint_dir": tmp_path / "saved", "epochs": 1, "show_progress": False}
    keys = [f"--{key}={value}" for key, value in options.items()]
    assert main(["--model=SASRec", "--dataset=shop", f"--output={tmp_path / 'out'}", *keys]) == 0
    row = json.loads((tmp_path / "out/results.json").read_text())["models"]["SASRec"]
    assert row["status"] == "ok" and row["rows"]["test"] == USERS


def test_amazon_office_with_derived_searches(tmp_path: Path) -> None:
    """Real titles: searches are words of an earlier item's title, one before each action but a user's first."""
    source = real_data("amazon_office")
    columns = ["--user", "user_id", "--item", "item_id", "--time", "order", "--title", "title", "--brand", "brand"]
    files = ["--interactions", f"{source}/interactions.csv", "--items", f"{source}/items.csv"]
    invoke("table", *files, *columns, "--queries", "category", "--out", str(tmp_path / "office"))
    found = check_readme(tmp_path / "office")
    assert (found.interactions["user_id"].nunique(), len(found.interactions)) == (3231, 22447)
    # a first action has no earlier item; orders are whole numbers, so a search stands halfway
    assert len(found.searches) == 22447 - 3231 and set(found.searches["timestamp"] % 1) == {0.5}
    titles = found.items.set_index("item_id")["title"].str.lower()
    earlier = found.interactions.assign(timestamp=found.interactions["timestamp"] + 0.5)
    pairs = found.searches.merge(earlier, on=["user_id", "timestamp"], validate="one_to_one")
    assert len(pairs) == len(found.searches)
    assert all(word in titles[item] for query, item in pairs[["query", "item_id"]].to_numpy() for word in query.split())
    assert "**DERIVED, nobody typed them.**" in (tmp_path / "office/README.md").read_text()
    # A994's first purchase: "BIC 4 Color Fashion Ball Pen, Medium Point (1.0mm), Assorted, 1-Count"
    assert rows(found.searches)[0] == ["A994", 0.5, "bic color fashion ball", ""]
