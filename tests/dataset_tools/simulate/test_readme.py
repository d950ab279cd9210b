from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder, empty_searches
from recbole_llmfashion.dataset_tools.simulate.customers.seasons import START_SECONDS
from recbole_llmfashion.dataset_tools.simulate.readme import MARK, new_share, render
from recbole_llmfashion.dataset_tools.simulate.simulation import CATEGORIES

FOLDER = AtomicFolder(
    "shop",
    Path("shop"),
    pd.DataFrame([("u", "a", "click"), ("u", "b", "purchase")], columns=["user_id", "item_id", "action"]),
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
