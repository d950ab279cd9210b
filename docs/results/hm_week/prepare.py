"""From a week of H&M's transactions to those of 500 random customers, for `convert hm`.

python docs/results/hm_week/prepare.py TRANSACTIONS.csv OUT.csv
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

CUSTOMERS = 500


def main(source: Path, out: Path) -> None:
    """Keeps every row of the drawn customers, in the order of the file."""
    rows = pd.read_csv(source, dtype=str)
    customers = np.sort(rows["customer_id"].unique())
    drawn = np.random.default_rng(2020).permutation(customers)[:CUSTOMERS]
    out.parent.mkdir(parents=True, exist_ok=True)
    rows[rows["customer_id"].isin(drawn)].to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
