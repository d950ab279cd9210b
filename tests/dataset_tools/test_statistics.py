from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.statistics import Statistics, measure


def test_measure() -> None:
    rows = [("u1", "a", "click"), ("u1", "b", "click"), ("u1", "a", "purchase"), ("u2", "a", "purchase")]
    inter = pd.DataFrame(rows, columns=["user_id", "item_id", "action"])
    searches = pd.DataFrame({"query": ["boots", "boots", "hat"]})
    items = pd.DataFrame({"item_id": ["a", "b", "c"]})
    # u1's click on "a" is filtered, because u1 purchases "a"
    assert measure(AtomicFolder("shop", Path("shop"), inter, searches, items)) == Statistics(
        users=2,
        items=3,
        interactions=3,
        mean_length=1.5,
        per_item=1.0,
        density=0.5,
        rows=4,
        purchase_share=0.5,
        items_seen=2,
        searches=3,
        unique_queries=2,
    )
