"""Item text by catalogue position.

A position counts the rows of `.item` from 0; RecBole's internal id of the same item is position + 1, its 0 being the
pad row. The catalogue knows no users and no models.
"""

from dataclasses import dataclass

import pandas as pd

TEXT_ATTRIBUTES = ("category", "brand", "color", "size")


@dataclass(frozen=True)
class Catalogue:
    """Every item of a dataset, in the order of `.item`.

    Args:
        item_ids: tokens, unique.
        titles: never empty.
        attributes: attribute name to one text an item, "" where the cell was empty.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]]

    @classmethod
    def from_frame(cls, items: pd.DataFrame) -> "Catalogue":
        """From the `.item` frame of an atomic folder."""
        return cls(
            item_ids=tuple(items["item_id"]),
            titles=tuple(items["title"]),
            attributes={name: tuple(items[name]) for name in TEXT_ATTRIBUTES},
        )

    def __len__(self) -> int:
        return len(self.item_ids)

    def positions(self, tokens: pd.Series) -> pd.Series:
        """Catalogue positions of item tokens, all of which must exist."""
        lookup = pd.Series(range(len(self)), index=list(self.item_ids))
        return lookup.reindex(tokens.to_numpy()).astype("int64")

    def attribute_text(self, position: int) -> str:
        """All attributes of one item in a line, for text models that take no keys."""
        return " ".join(values[position] for values in self.attributes.values() if values[position])
