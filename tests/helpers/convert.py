"""What the converters' tests share: a small log in each source's files, and what every output must be."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer
from typer.testing import CliRunner

from recbole_llmfashion.cli.convert import register
from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256


def rows(frame: pd.DataFrame) -> list[list[Any]]:
    return frame.to_numpy(object).tolist()


def check_readme(folder: Path) -> AtomicFolder:
    """The folder, which must be clean and tell its own numbers and hash."""
    found = read_folder(folder)
    check_clean(found)
    text = (folder / "README.md").read_text()
    assert f"| users | {found.interactions['user_id'].nunique():,} |" in text
    assert f"`{folder_sha256(folder, folder.name)}`" in text
    assert f"| searches (unique queries) | {len(found.searches):,} (" in text
    return found


def invoke(*words: str) -> str:
    """`recbole-llmfashion convert ..`; its errors come through."""
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["convert", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


LOG_USERS, LOG_ITEMS, LOG_ACTIONS = 12, 15, 5
_FIRST_DAY = np.datetime64("2020-06-01")


def log() -> pd.DataFrame:
    """user, item, day: one action a day from 2020-06-01, all items used."""
    pairs = [(u, t) for u in range(LOG_USERS) for t in range(LOG_ACTIONS)]
    frame = pd.DataFrame({"user": [u for u, _ in pairs], "item": [(5 * u + 4 * t) % LOG_ITEMS for u, t in pairs]})
    return frame.assign(day=[_FIRST_DAY + np.timedelta64(t, "D") for _, t in pairs])


def amazon(folder: Path, reviews: str = "reviews.jsonl", metadata: str = "metadata.jsonl") -> list[str]:
    """The arguments after `convert`, with the files written."""
    lines = [
        {"user_id": f"u{u}", "parent_asin": f"B{i}", "timestamp": day.value // 10**6, "verified_purchase": True}
        for u, i, day in log().itertuples(index=False)
    ]
    products = [
        {"parent_asin": f"B{i}", "title": f"Boot {i}", "categories": ["Shoes", "Boots"]} for i in range(LOG_ITEMS)
    ]
    for name, records in ((reviews, lines), (metadata, products)):
        (folder / name).write_text("\n".join(map(json.dumps, records)))
    return ["amazon-2023", "--reviews", str(folder / reviews), "--metadata", str(folder / metadata)]


def hm(folder: Path) -> list[str]:
    """The arguments after `convert`, with the files written; queries.csv and qrels.csv lie beside them."""
    frame = log().rename(columns={"user": "customer_id", "item": "article_id"})
    frame.assign(t_dat=frame["day"].dt.date).to_csv(folder / "transactions_train.csv", index=False)
    articles = pd.DataFrame({"article_id": range(LOG_ITEMS)})
    names = ["prod_name", "colour_group_name", "index_group_name", "index_name", "product_group_name"]
    articles[[*names, "product_type_name"]] = "Boot"
    articles.to_csv(folder / "articles.csv", index=False)
    queries = pd.DataFrame({"query_id": range(len(frame)), "transaction_id": range(len(frame)), "query_text": "boots"})
    queries.to_csv(folder / "queries.csv", index=False)
    positives = pd.DataFrame({"query_id": range(len(frame)), "positive_ids": frame["article_id"], "negatives_ids": 1})
    positives.to_csv(folder / "qrels.csv", index=False)
    return ["hm", "--articles", str(folder / "articles.csv"), "--transactions", str(folder / "transactions_train.csv")]


def recbole(folder: Path) -> list[str]:
    """The arguments after `convert`, with the files written."""
    (folder / "raw").mkdir()
    body = "".join(f"{u}\t{i}\t{day.timestamp():.0f}\n" for u, i, day in log().itertuples(index=False))
    (folder / "raw/raw.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + body)
    items = "".join(f"{i}\tBoot {i}\n" for i in range(LOG_ITEMS))
    (folder / "raw/raw.item").write_text("item_id:token\tname:token_seq\n" + items)
    return ["recbole", str(folder / "raw"), "--title", "name"]
