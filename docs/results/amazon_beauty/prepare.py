"""From Amazon Beauty's interactions to those of some customers, for `convert table`.

python docs/results/amazon_beauty/prepare.py INTERACTIONS.csv OUT.csv [CUSTOMERS]
"""

import sys
from hashlib import sha256
from pathlib import Path

import pandas as pd


def main(source: Path, out: Path, customers: int = 10_000) -> None:
    """Keeps every row of the customers whose ids have the smallest SHA-256, in the order of the file."""
    rows = pd.read_csv(source, dtype=str)
    drawn = sorted(rows["user_id"].unique(), key=lambda user: sha256(user.encode()).hexdigest())[:customers]
    out.parent.mkdir(parents=True, exist_ok=True)
    rows[rows["user_id"].isin(drawn)].to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:4]))
