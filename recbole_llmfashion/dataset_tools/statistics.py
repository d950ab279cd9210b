"""Table 1's numbers of a dataset, and a few more; for the README.md that stands beside generated or converted files.

Knows the frames of an AtomicFolder. Does NOT know where they came from.
"""

from dataclasses import dataclass

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.split import sequence_lengths


@dataclass(frozen=True)
class Statistics:
    """Table 1's numbers and a few more. Interactions are item actions, searches not among them; `interactions`,
    `mean_length` and `per_item` are counted after the paper's click filter, the rest on the files as they are."""

    users: int
    items: int
    interactions: int
    mean_length: float
    per_item: float
    rows: int
    purchase_share: float
    items_seen: int
    searches: int
    unique_queries: int


def measure(folder: AtomicFolder) -> Statistics:
    """Count a folder; the filter drops clicks on items that the same user purchased at any time."""
    actions = folder.interactions
    lengths = sequence_lengths(actions)
    counted, users, items = int(lengths.sum()), len(lengths), len(folder.items)
    return Statistics(
        users=users,
        items=items,
        interactions=counted,
        mean_length=counted / users,
        per_item=counted / items,
        rows=len(actions),
        purchase_share=float((actions["action"] == "purchase").mean()),
        items_seen=actions["item_id"].nunique(),
        searches=len(folder.searches),
        unique_queries=folder.searches["query"].nunique(),
    )
