"""Token ids of the items of a catalogue: their IDs, their titles, and what an action and a line of the memory show."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.prompt.cells import CellTokenizer
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.ragged import Ragged
from recbole_llmfashion.prompt.template import Template, prompt_safe_ids
from recbole_llmfashion.prompt.texts import clean_titles


class ItemPieces:
    """The pieces of prompts and responses that belong to an item, by catalogue position.

    Args:
        cells: turns cells of the catalogue into token ids.
        template: the fixed words of a prompt.
        catalogue: item IDs and texts.
        attributes: item attributes shown after the title; None to show the ID alone.
        item_tokens: token ids of the items; None to write each item's ID as text.

    Attributes:
        names: the ID as it appears in text.
        ids: the ID.
        titles: the title, whether prompts show it or not.
        actions: the ID and texts of an item in an action.
        products: the line of an item in the memory.
        id_mark: the words before an ID, int32 array.
    """

    def __init__(
        self,
        cells: CellTokenizer,
        template: Template,
        catalogue: Catalogue,
        attributes: Sequence[str] | None,
        item_tokens: ItemTokens | None,
    ) -> None:
        self._cells, self._template = cells, template
        self.names = prompt_safe_ids(catalogue.item_ids, cells.sanitize)
        texts = [f" {name}" for name in self.names] if item_tokens is None else []
        self.ids = Ragged.of(item_tokens.ids) if item_tokens else cells.ids(texts)
        titles = clean_titles(catalogue.titles, cells.sanitize)
        self.titles = cells.ids([f" {title}" for title in titles])
        self.id_mark, title_mark, line = cells.words([template.id_mark, template.title_mark, template.memory_line])
        title: list[Ragged | np.ndarray] = [] if attributes is None else [title_mark, self.titles]
        text = [*title, *self._attributes(catalogue, attributes or ())]
        self.actions = self._joined(self.id_mark, self.ids, *text)
        self.products = self._joined(line, self.id_mark, self.ids, *title)

    def _joined(self, *parts: Ragged | np.ndarray) -> Ragged:
        """The concatenated parts of each item."""
        return Ragged.joined(len(self.ids), *parts)

    def _attributes(self, catalogue: Catalogue, names: Sequence[str]) -> list[Ragged]:
        """The tokens of each attribute of each item, none for an empty value; equal texts are tokenized once."""
        columns = []
        for name in names:
            codes, distinct = pd.factorize(np.asarray(catalogue.attributes[name], object))
            label = self._cells.sanitize(name)
            texts = [self._template.attribute(label, self._cells.sanitize(value)) for value in distinct]
            columns.append(self._cells.ids(texts).take(codes))
        return columns
