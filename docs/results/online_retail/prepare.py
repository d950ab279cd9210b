"""From UCI's online_retail.parquet to the two tables that `convert table` takes: a random third of the customers.

python docs/results/online_retail/prepare.py ONLINE_RETAIL.parquet OUT_FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main(source: Path, out: Path) -> None:
    """Rows with a known customer, a quantity and a price above 0; the description is the item."""
    rows = pd.read_parquet(source)
    rows = rows[rows["CustomerID"].notna() & (rows["Quantity"] > 0) & (rows["UnitPrice"] > 0)]
    customers = np.sort(rows["CustomerID"].unique())
    third = np.random.default_rng(2020).permutation(customers)[: len(customers) // 3]
    rows = rows[rows["CustomerID"].isin(third)].sort_values(["CustomerID", "InvoiceDate"], kind="stable")
    rows = rows.assign(title=rows["Description"].str.strip(), user=rows["CustomerID"].astype(int))
    items = rows[["title"]].drop_duplicates().sort_values("title").reset_index(drop=True)
    items["item"] = [f"r{i:04d}" for i in range(len(items))]
    out.mkdir(parents=True, exist_ok=True)
    items.to_csv(out / "items.csv", index=False)
    events = rows.merge(items, on="title")[["user", "item", "InvoiceDate"]]
    events.sort_values(["user", "InvoiceDate"], kind="stable").to_csv(out / "events.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
