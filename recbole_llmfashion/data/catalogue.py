"""Item text by catalogue position.

A catalogue position is a row number of `.item`, from 0. RecBole's internal id of the same item is position + 1, because
its id 0 is padding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.writer import number_texts
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.errors import UserError

TEXT_ATTRIBUTES = ("category", "brand", "color", "size")
_NO_ATTRIBUTES = ("item_id", "title")
_SHOWN_TYPES = ("token", "token_seq", "float")


def attributes_of(columns: Mapping[str, str]) -> list[str]:
    """The attributes that prompts can show, of columns of `.item` with their RecBole types.

    >>> attributes_of({"item_id": "token", "title": "token", "fit": "token_seq", "price": "float", "v": "float_seq"})
    ['fit', 'price']
    """
    return [name for name, kind in columns.items() if name not in _NO_ATTRIBUTES and kind in _SHOWN_TYPES]


def check_attributes(
    names: Sequence[str], columns: Mapping[str, str], dataset: str, key: str = "prompt_attributes"
) -> None:
    """Checks that a model can read these attributes of a dataset's items.

    Args:
        names: the value of the key.
        columns: of the dataset's `.item` -> RecBole type.
        dataset: its name.
        key: the key that names them.

    Raises:
        UserError: there is no such column.
    """
    known = attributes_of(columns)
    for name in names:
        if name not in known:
            found = f"{name}:{columns[name]}" if name in columns and name not in _NO_ATTRIBUTES else name
            raise UserError(
                f"{key}: expected attributes of {dataset}.item, that is {', '.join(known)}, found '{found}'"
            )


@dataclass(frozen=True)
class Catalogue:
    """Every item of a dataset, in the order of `.item`.

    Args:
        item_ids: item tokens, unique.
        titles: item titles, never empty.
        attributes: attribute name -> one text per item, "" where the cell is empty. TEXT_ATTRIBUTES, and the further
            columns of `.item` that the model reads.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]]

    @classmethod
    def from_frame(cls, items: pd.DataFrame, shown: Sequence[str] = ()) -> "Catalogue":
        """Build from the `.item` frame of an atomic folder.

        Args:
            items: the frame; of numbers the shortest text is taken.
            shown: columns of the frame that the model reads, such as those of prompts.
        """
        return cls(
            item_ids=tuple(items["item_id"]),
            titles=tuple(items["title"]),
            attributes={name: _texts(items[name]) for name in dict.fromkeys((*TEXT_ATTRIBUTES, *shown))},
        )

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def tie_rank(self) -> np.ndarray:
        """[N] int64, the place of each item among items with equal scores, see `data.tie_breaking.tie_rank`."""
        return tie_rank(self.item_ids)

    def positions(self, tokens: pd.Series) -> pd.Series:
        """Catalogue positions of item tokens; every token must be in the catalogue.

        >>> catalogue = Catalogue(("A", "B", "C"), ("red bag", "blue bag", "hat"), {})
        >>> catalogue.positions(pd.Series(["C", "A", "C"])).tolist()
        [2, 0, 2]
        """
        lookup = pd.Series(range(len(self)), index=list(self.item_ids))
        return lookup.reindex(tokens.to_numpy()).astype("int64")

    def empty_attributes(self) -> list[str]:
        """The attributes that no item has."""
        return [name for name, texts in self.attributes.items() if not any(text.strip() for text in texts)]


def _texts(column: pd.Series) -> tuple[str, ...]:
    return tuple(number_texts(column) if pd.api.types.is_float_dtype(column) else column)
