"""Token ids of the items of a catalogue: their IDs, their titles, and what an action and a line of the memory show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.pieces.cells import CellTokenizer
from recbole_llmfashion.prompt.pieces.ragged import Ragged
from recbole_llmfashion.prompt.template import Template, prompt_safe_ids
from recbole_llmfashion.prompt.texts import clean_titles, is_long

CELL_SHARE = 6  # a text has at most this part of the tokens for actions and memory
ACTION_SHARE = 3  # all texts of an action together


@dataclass(frozen=True)
class TextLimits:
    """Largest numbers of tokens of texts in a prompt, so that a long text leaves room for other actions.

    Args:
        cell: of a query, a title or an attribute.
        action: of all texts of one action.
    """

    cell: int
    action: int

    @classmethod
    def of_room(cls, room: int) -> "TextLimits":
        """The limits in a prompt with so many tokens for actions and memory."""
        return cls(room // CELL_SHARE, room // ACTION_SHARE)


@dataclass(frozen=True)
class _Column:
    """One text of each item.

    Args:
        texts: distinct texts as they appear in a prompt, without those words of the template that have their own piece.
        codes: [N] index of each item's text.
        mark: number of characters at the start of each text that belong to the template.
        ids: [N] token ids.
    """

    texts: Sequence[str]
    codes: np.ndarray
    mark: int
    ids: Ragged


class ItemPieces:
    """The pieces of prompts and responses that belong to an item, by catalogue position.

    Args:
        cells: turns cells of the catalogue into token ids.
        template: the fixed words of a prompt.
        catalogue: item IDs and texts.
        attributes: item attributes shown after the title; None to show the ID alone.
        item_tokens: token ids of the items; None to write each item's ID as text.
        most: limits of the texts that are shown.

    Attributes:
        names: the ID as it appears in text.
        ids: the ID.
        titles: the title, whether prompts show it or not, and not cut.
        actions: the ID and texts of an item in an action.
        products: the line of an item in the memory.
        id_mark: the words before an ID, int32 array.
        shortened: bool [N], the items whose shown texts are cut.
    """

    def __init__(
        self,
        cells: CellTokenizer,
        template: Template,
        catalogue: Catalogue,
        attributes: Sequence[str] | None,
        item_tokens: ItemTokens | None,
        most: TextLimits,
    ) -> None:
        self._cells, self._template = cells, template
        self.names = prompt_safe_ids(catalogue.item_ids, cells.sanitize)
        texts = [f" {name}" for name in self.names] if item_tokens is None else []
        self.ids = Ragged.of(item_tokens.ids) if item_tokens else cells.ids(texts)
        self._titles = [f" {title}" for title in clean_titles(catalogue.titles, cells.sanitize)]
        self.titles = cells.ids(self._titles)
        self.shortened = np.zeros(len(self.ids), bool)
        self.id_mark, title_mark, line = cells.words([template.id_mark, template.title_mark, template.memory_line])
        title: list[Ragged | np.ndarray] = []
        others: list[Ragged] = []
        if attributes is not None:
            shown, *others = self._fitting(self._columns(catalogue, attributes), most)
            title = [title_mark, shown]
        self.actions = self._joined(self.id_mark, self.ids, *title, *others)
        self.products = self._joined(line, self.id_mark, self.ids, *title)

    def _joined(self, *parts: Ragged | np.ndarray) -> Ragged:
        """The concatenated parts of each item."""
        return Ragged.joined(len(self.ids), *parts)

    def title_start(self, position: int, room: int) -> np.ndarray:
        """int32, the title of an item, cut to at most `room` tokens."""
        ids = self.titles[position]
        return ids if len(ids) <= room else self._cells.cut([self._titles[position]], np.array([max(room, 0)]))[0]

    def _columns(self, catalogue: Catalogue, names: Sequence[str]) -> list[_Column]:
        """Titles and attributes; an empty attribute has no tokens, and equal texts are tokenized once."""
        self.shortened |= [is_long(title) for title in catalogue.titles]
        columns = [_Column(self._titles, np.arange(len(self.ids)), 0, self.titles)]
        for name in names:
            codes, distinct = pd.factorize(np.asarray(catalogue.attributes[name], object))
            label = self._cells.sanitize(name)
            texts = [self._template.attribute(label, self._cells.sanitize(value)) for value in distinct]
            mark = len(self._template.attribute(label, " ").rstrip())
            columns.append(_Column(texts, codes, mark, self._cells.ids(texts).take(codes)))
            self.shortened |= np.asarray([is_long(value) for value in distinct], bool)[codes]
        return columns

    def _fitting(self, columns: Sequence[_Column], most: TextLimits) -> list[Ragged]:
        """The tokens of each column, with long cells cut; marks those items in `shortened`."""
        lengths = np.stack([column.ids.lengths for column in columns], axis=1)
        cut = np.minimum(lengths, most.cell)
        for row in np.flatnonzero(cut.sum(axis=1) > most.action):
            cut[row] = np.minimum(cut[row], _level(cut[row].tolist(), most.action))
        self.shortened |= (cut < lengths).any(axis=1)
        return [self._cut(column, cut[:, i]) for i, column in enumerate(columns)]

    def _cut(self, column: _Column, limits: np.ndarray) -> Ragged:
        rows = np.flatnonzero(limits < column.ids.lengths)
        if not len(rows):
            return column.ids
        cells, which = np.unique(np.stack([column.codes[rows], limits[rows]], axis=1), axis=0, return_inverse=True)
        cut = self._cells.cut([column.texts[code] for code in cells[:, 0]], cells[:, 1], column.mark)
        return column.ids.replaced(rows, cut.take(which.ravel()))


def _level(lengths: Sequence[int], total: int) -> int:
    """The largest length to which the longer cells can be cut so that all have at most `total` tokens.

    >>> _level([3, 50, 20], total=40)
    18
    """
    for left, length in zip(range(len(lengths), 0, -1), sorted(lengths), strict=True):
        if length * left > total:
            return total // left
        total -= length
    return max(lengths)
