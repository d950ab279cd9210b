"""The paper's Table 1 for a dataset, with a few more numbers, for the README.md of simulated and converted datasets."""

from dataclasses import dataclass

import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.split import sequence_lengths


@dataclass(frozen=True)
class Statistics:
    """Numbers of a dataset. Interactions are item actions; searches do not count as interactions.

    Args:
        users, items: number of users and of items in the catalogue.
        interactions: number of item actions after the paper's click filter.
        mean_length: interactions per user, after the filter.
        per_item: interactions per item, after the filter.
        density: interactions / (users x items), after the filter.
        rows: number of rows of `.inter`.
        purchase_share: share of purchases among the rows.
        items_seen: number of items with an action.
        searches, unique_queries: number of searches and of distinct queries.
    """

    users: int
    items: int
    interactions: int
    mean_length: float
    per_item: float
    density: float
    rows: int
    purchase_share: float
    items_seen: int
    searches: int
    unique_queries: int


def filled_attributes(items: pd.DataFrame) -> str:
    """The share of items that have a value in each attribute of an `.item` frame, as one line of text.

    >>> filled_attributes(pd.DataFrame({"item_id": ["a", "b"], "title": ["x", "y"], "fit": ["", "slim"]}))
    'fit 50.0%'
    """
    names = [name for name in items.columns if name not in ("item_id", "title")]
    return ", ".join(f"{name} {1 - is_empty(items[name]).mean():.1%}" for name in names)


def is_empty(cells: pd.Series) -> pd.Series:
    """Whether each cell of a column of `.item`, of texts or of numbers, is empty."""
    return cells.isna() | (cells == "")


def measure(folder: AtomicFolder) -> Statistics:
    """Count a dataset; the click filter drops clicks on items that the same user purchases at any time."""
    actions = folder.interactions
    lengths = sequence_lengths(actions)
    interactions, users, items = int(lengths.sum()), len(lengths), len(folder.items)
    return Statistics(
        users=users,
        items=items,
        interactions=interactions,
        mean_length=interactions / users,
        per_item=interactions / items,
        density=interactions / (users * items),
        rows=len(actions),
        purchase_share=float((actions["action"] == "purchase").mean()),
        items_seen=actions["item_id"].nunique(),
        searches=len(folder.searches),
        unique_queries=folder.searches["query"].nunique(),
    )
