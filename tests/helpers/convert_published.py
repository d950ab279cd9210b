"""The small log of tests/helpers/convert.py in the files of published sources, under their published names.

Each function writes the files into a folder, where docs/data.md has them, and returns the arguments after `convert`.
"""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from tests.helpers.convert import LOG_ACTIONS, LOG_ITEMS, log


def _lines(path: Path, records: Iterable[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def _packed(path: Path, records: Iterable[dict[str, Any]]) -> str:
    path.write_bytes(gzip.compress(Path(_lines(path, records)).read_bytes()))
    return str(path)


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _milliseconds() -> pd.DataFrame:
    frame = log()
    return frame.assign(ms=[day.value // 10**6 for day in frame["day"]])


def rent_the_runway(folder: Path) -> list[str]:
    records = [
        {
            "fit": "fit",
            "user_id": str(user),
            "item_id": str(item),
            "rented for": "wedding",
            "category": "gown",
            "size": 8,
            "review_date": f"{day:%B} {day.day}, {day.year}",
        }
        for user, item, day in log().itertuples(index=False)
    ]
    return ["rent-the-runway", "--reviews", _packed(folder / "renttherunway_final_data.json.gz", records)]


def modcloth(folder: Path) -> list[str]:
    records = [
        {"item_id": str(item), "size": 7, "category": "new dresses", "fit": "small", "user_id": str(user)}
        for user, item, _ in log().itertuples(index=False)
    ]
    return ["modcloth", "--reviews", _packed(folder / "modcloth_final_data.json.gz", records)]


def retailrocket(folder: Path) -> list[str]:
    folder = _new(folder / "retailrocket")
    frame = _milliseconds()
    events = frame.rename(columns={"ms": "timestamp", "user": "visitorid", "item": "itemid"})
    events["event"], events["transactionid"] = "transaction", range(len(events))
    columns = ["timestamp", "visitorid", "event", "itemid", "transactionid"]
    events[columns].to_csv(folder / "events.csv", index=False)
    rows = [f"1431226800000,{item},{name},{value}" for item in range(LOG_ITEMS) for name, value in
            ((888, f"{item + 100} n12.000 7"), ("categoryid", 5))]  # fmt: skip
    parts = []
    for number in (1, 2):
        path = folder / f"item_properties_part{number}.csv"
        path.write_text("\n".join(["timestamp,itemid,property,value", *rows[number - 1 :: 2]]) + "\n")
        parts += ["--properties", str(path)]
    (folder / "category_tree.csv").write_text("categoryid,parentid\n5,3\n3,\n")
    tree = ["--category-tree", str(folder / "category_tree.csv")]
    return ["retailrocket", "--events", str(folder / "events.csv"), *parts, *tree]


def diginetica(folder: Path) -> list[str]:
    folder = _new(folder / "diginetica")
    frame = log()
    frame = frame.assign(eventdate=frame["day"].dt.date, sessionId=range(len(frame)), timeframe=5000)
    frame = frame.rename(columns={"user": "userId", "item": "itemId"}).assign(ordernumber=1, queryId=frame.index)
    frame["searchstring.tokens"], frame["items"], frame["categoryId"] = "16,7", frame["itemId"], 3
    queries = frame.assign(timeframe=0, duration=10, **{"is.test": "FALSE"})
    query_columns = "queryId sessionId userId timeframe duration eventdate searchstring.tokens categoryId items is.test"
    products = pd.DataFrame({"itemId": range(LOG_ITEMS), "pricelog2": 8})
    products["product.name.tokens"] = [f"16,{item + 100}" for item in range(LOG_ITEMS)]
    tables = {
        "train-item-views.csv": frame[["sessionId", "userId", "itemId", "timeframe", "eventdate"]],
        "train-purchases.csv": frame.assign(timeframe=9000)[
            ["sessionId", "userId", "timeframe", "eventdate", "ordernumber", "itemId"]
        ],
        "train-queries.csv": queries[query_columns.split()],
        "products.csv": products,
        "product-categories.csv": products[["itemId"]].assign(categoryId=3),
    }
    for name, table in tables.items():
        table.to_csv(folder / name, sep=";", index=False)
    options = ["--views", "--purchases", "--queries-file", "--products", "--categories"]
    pairs = zip(options, tables, strict=True)
    return ["diginetica", *(word for option, name in pairs for word in (option, str(folder / name)))]


def kuaisearch(folder: Path) -> list[str]:
    folder = _new(folder / "kuaisearch")
    searches = [
        {
            "user_id": user,
            "session_id": number,
            "query": "boots",
            "time_index": 1000 * number,
            "impressed_item_ids": [item, (item + 1) % LOG_ITEMS],
            "clicked_item_ids": [item],
            "purchased_item_ids": [item],
            "split": "train",
        }
        for number, (user, item, _) in enumerate(log().itertuples(index=False))
    ]
    items = [
        {"item_id": item, "item_title": f"Boot {item}", "brand_name": "Vela", "category_level1_name": "Shoes"}
        for item in range(LOG_ITEMS)
    ]
    recall = _lines(folder / "recall_lite.jsonl", searches)
    return ["kuaisearch", "--recall", recall, "--items", _lines(folder / "items_lite.jsonl", items)]


def kuaisar(folder: Path) -> list[str]:
    folder = _new(folder / "KuaiSAR")
    frame = _milliseconds().rename(columns={"user": "user_id", "item": "item_id", "ms": "timestamp"})
    frame.assign(click=1)[["user_id", "item_id", "timestamp", "click"]].to_csv(folder / "rec_inter.csv", index=False)
    searched = frame.assign(
        search_session_id=frame.index, search_session_timestamp=frame["timestamp"] - 1000, keyword="[20, 3]"
    )
    columns = ["user_id", "search_session_id", "search_session_timestamp", "keyword", "item_id", "click_cnt"]
    searched.assign(click_cnt=0)[columns].to_csv(folder / "src_inter.csv", index=False)
    items = pd.DataFrame({"item_id": range(LOG_ITEMS), "caption": [f"[3, {100 + i}]" for i in range(LOG_ITEMS)]})
    for level, name in (("first", "Funny"), ("second", "Funny joke"), ("third", "empty"), ("fourth", "empty")):
        items[f"{level}_level_category_name_en"] = name
    items.to_csv(folder / "item_features.csv", index=False)
    files = ["--recommended", "rec_inter.csv", "--searched", "src_inter.csv", "--items", "item_features.csv"]
    return ["kuaisar", *(word if word.startswith("--") else str(folder / word) for word in files)]


def sequences(folder: Path) -> list[str]:
    folder = _new(folder / "Beauty")
    lines = [f"u{user} {' '.join(map(str, rows['item']))}\n" for user, rows in log().groupby("user")]
    (folder / "user_sequence.txt").write_text("".join(lines))
    text = [f"{item} title: boot {item}; brand: na; categories: shoes, boots\n" for item in range(LOG_ITEMS)]
    (folder / "item_plain_text.txt").write_text("".join(text))
    files = ["--sequences", str(folder / "user_sequence.txt"), "--items", str(folder / "item_plain_text.txt")]
    return ["sequences", *files]


def minionerec(folder: Path) -> list[str]:
    """The last action of a user is in test, the one before in valid, and histories have at most two items."""
    words = ["minionerec"]
    for number, split in enumerate(("train", "valid", "test")):
        windows = []
        for user, rows in log().groupby("user"):
            items = rows["item"].tolist()
            ends = range(1, LOG_ACTIONS - 2) if split == "train" else [LOG_ACTIONS - 3 + number]
            windows += [
                (f"A{user}", str([f"Boot {i}" for i in items[max(0, end - 2) : end]]), f"Boot {items[end]}",
                 str(items[max(0, end - 2) : end]), items[end], "[]", "<a_1>")
                for end in ends
            ]  # fmt: skip
        names = "user_id history_item_title item_title history_item_id item_id history_item_sid item_sid".split()  # noqa: SIM905
        path = _new(folder / "Amazon" / split) / "Office_Products_5_2016-10-2018-11.csv"
        pd.DataFrame(windows, columns=names).to_csv(path, index=False)
        words += ["--windows", str(path)]
    return words


PUBLISHED = [
    rent_the_runway, modcloth, retailrocket, diginetica, kuaisearch, kuaisar, sequences, minionerec,
]  # fmt: skip
