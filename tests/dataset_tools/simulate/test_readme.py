from dataclasses import replace
from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder, empty_searches
from recbole_llmfashion.dataset_tools.simulate.customers.seasons import START_SECONDS
from recbole_llmfashion.dataset_tools.simulate.readme import MARK, new_share, render
from recbole_llmfashion.dataset_tools.simulate.simulation import CATEGORIES

FOLDER = AtomicFolder(
    "shop",
    Path("shop"),
    pd.DataFrame(
        [("u", "a", "click", 1.0), ("u", "b", "purchase", 2.0)], columns=["user_id", "item_id", "action", "timestamp"]
    ),
    empty_searches(),
    pd.DataFrame({"item_id": list("abcd"), "available_from": [START_SECONDS - 1.0, *[START_SECONDS + 0.0] * 3]}),
)


def test_new_share() -> None:
    assert new_share(FOLDER) == 0.75


def test_render() -> None:
    text = render(FOLDER, CATEGORIES["footwear"], "recbole-llmfashion simulate --category footwear")
    assert text.startswith("# shop: SIMULATED data\n") and MARK in text
    assert "\n    recbole-llmfashion simulate --category footwear\n" in text
    for row in ("| users | 1 |", "| mean length (Table 1: 11.29) | 2.00 |", "| share of purchases in them | 0.500 |"):
        assert row in text


def test_the_order_of_the_data_is_in_the_readme() -> None:
    rows = [("u", item, "purchase", time) for item, time in (("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 2.0))]
    inter = pd.DataFrame(rows, columns=["user_id", "item_id", "action", "timestamp"])
    text = render(replace(FOLDER, interactions=inter), CATEGORIES["footwear"], "recbole-llmfashion simulate")
    assert "- sequences sorted by item id: 100.0% (chance: 8.3%); neighbours with equal timestamps: 66.7% (1 " in text
    assert text.count("- warning: ") == 2
