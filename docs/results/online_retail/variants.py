"""Who puts the next product first: where its title is nearly that of the product before it, and elsewhere.

python docs/results/online_retail/variants.py OUT_FOLDER_OF_PREPARE RESULTS_FOLDER

RESULTS_FOLDER is the --output of a run, with its ranks.parquet. A title is near where the product before it, of the
same customer, has at least half of its words.
"""

import sys
from pathlib import Path

import pandas as pd


def main(tables: Path, results: Path) -> None:
    """Prints, by model and nearness: customers, and the shares of them whose target is first, and in the first ten."""
    words = pd.read_csv(tables / "items.csv").set_index("item")["title"].str.split().map(set)
    events = pd.read_csv(tables / "events.csv", dtype={"user": str})
    events["before"] = events.groupby("user")["item"].shift()
    last = events.drop_duplicates("user", keep="last")[["user", "before"]]
    ranks = pd.read_parquet(results / "ranks.parquet").astype({"user": str, "target": str}).merge(last, on="user")
    pairs = zip(ranks["before"], ranks["target"], strict=True)
    ranks["near"] = [len(words[old] & words[new]) / len(words[new]) >= 0.5 for old, new in pairs]
    table = ranks.assign(first=ranks["rank"] == 1, ten=ranks["rank"] <= 10).groupby(["model", "near"])
    print(table[["first", "ten"]].mean().join(table.size().rename("customers")).round(3).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
