"""Item text by catalogue position.

A catalogue position is a row number of `.item`, from 0. RecBole's internal id of the same item is position + 1, because
its id 0 is padding.
"""

from dataclasses import dataclass

import pandas as pd

TEXT_ATTRIBUTES = ("category", "brand", "color", "size")


@dataclass(frozen=True)
class Catalogue:
    """Every item of a dataset, in the order of `.item`.

    Args:
        item_ids: item tokens, unique.
        titles: item titles, never empty.
        attributes: attribute name -> one text per item, "" where the cell is empty.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]]

    @classmethod
    def from_frame(cls, items: pd.DataFrame) -> "Catalogue":
        """Build from the `.item` frame of an atomic folder."""
        return cls(
            item_ids=tuple(items["item_id"]),
            titles=tuple(items["title"]),
            attributes={name: tuple(items[name]) for name in TEXT_ATTRIBUTES},
        )

    def __len__(self) -> int:
        return len(self.item_ids)

    def positions(self, tokens: pd.Series) -> pd.Series:
        """Catalogue positions of item tokens; every token must be in the catalogue.

        >>> catalogue = Catalogue(("A", "B", "C"), ("red bag", "blue bag", "hat"), {})
        >>> catalogue.positions(pd.Series(["C", "A", "C"])).tolist()
        [2, 0, 2]
        """
        lookup = pd.Series(range(len(self)), index=list(self.item_ids))
        return lookup.reindex(tokens.to_numpy()).astype("int64")

    def attribute_text(self, position: int) -> str:
        """All attribute values of one item, separated by spaces and without their names.

        >>> Catalogue(("A",), ("bag",), {"brand": ("Miu",), "color": ("",), "size": ("M",)}).attribute_text(0)
        'Miu M'
        """
        return " ".join(values[position] for values in self.attributes.values() if values[position])
