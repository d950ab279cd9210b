"""Item attributes that only reviews have, such as the occasion of a rental: the most frequent value among the reviews.

A review describes its own item, so the reviews of a user's last two actions, which the evaluation predicts, have no
vote. An item without other reviews has empty cells.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from recbole_llmfashion.data.atomic.folder import ITEM, AtomicFolder
from recbole_llmfashion.dataset_tools.convert.attributes import attribute_numbers

TARGETS = 2  # a user's last actions: of the validation and of the test


class ItemVotes:
    """The values that reviews give to attributes of their items.

    Args:
        columns: names of the attributes, as in `.item`.

    >>> votes = ItemVotes(["occasion"])
    >>> votes.add("u1", "i1", ["wedding"])
    >>> votes.winners(set())
    {'i1': ['wedding']}
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._codes: dict[str, int] = {}  # of users, items and values
        self._rows = array("i")  # user, item and a value per column, row after row

    def add(self, user: str, item: str, values: Sequence[str]) -> None:
        """Record a review; a value may be empty."""
        for text in (user, item, *values):
            self._rows.append(self._codes.setdefault(text, len(self._codes)))

    def winners(self, without: set[tuple[str, str]]) -> dict[str, list[str]]:
        """The most frequent value of each column by item; of equally frequent ones the first that is read.

        Args:
            without: pairs of user and item whose reviews have no vote.
        """
        texts = list(self._codes)
        width = 2 + len(self.columns)
        counts: dict[str, list[Counter[str]]] = defaultdict(lambda: [Counter() for _ in self.columns])
        for start in range(0, len(self._rows), width):
            user, item, *values = (texts[code] for code in self._rows[start : start + width])
            if (user, item) in without:
                continue
            for counter, value in zip(counts[item], values, strict=True):
                if value:
                    counter[value] += 1
        # the first of equal counts wins: a Counter keeps the order of first occurrence
        return {
            item: [max(counter, key=counter.__getitem__, default="") for counter in counters]
            for item, counters in counts.items()
        }

    def describe(self, folder: AtomicFolder) -> AtomicFolder:
        """Fill in the columns of `.item`.

        Args:
            folder: a clean dataset, with the ids of the source.
        """
        actions = folder.interactions.groupby("user_id", sort=False).tail(TARGETS)
        winners = self.winners(set(zip(actions["user_id"], actions["item_id"], strict=True)))
        none = [""] * len(self.columns)
        rows = [winners.get(item, none) for item in folder.items["item_id"]]
        cells = {}
        for place, column in enumerate(self.columns):
            texts = pd.Series([row[place] for row in rows], index=folder.items.index, name=column, dtype=object)
            cells[column] = attribute_numbers(texts) if ITEM.types.get(column) == "float" else texts
        further = {column: "token" for column in self.columns if column not in ITEM.types}
        return replace(folder, items=folder.items.assign(**cells), further={**folder.further, **further})
