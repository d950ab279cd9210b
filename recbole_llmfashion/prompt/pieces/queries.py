"""Token ids of the queries of a search log."""

from collections.abc import Sequence

import numpy as np

from recbole_llmfashion.prompt.pieces.cells import CellTokenizer
from recbole_llmfashion.prompt.texts import is_long


class QueryPieces:
    """What a prompt shows of each search.

    Args:
        cells: turns queries into token ids.
        texts: query texts by query index.
        of_search: [S] query index of each search event.
        most: largest number of tokens of a query.
        shortened: by query index, whether the end of the query was left out before; empty to look at the texts.

    Attributes:
        shortened: bool [Q], the queries whose text is cut.
    """

    def __init__(
        self,
        cells: CellTokenizer,
        texts: Sequence[str],
        of_search: np.ndarray,
        most: int,
        shortened: Sequence[bool] = (),
    ) -> None:
        self._texts, self._of_search = tuple(texts), of_search
        shown = [f" {cells.sanitize(query)}" for query in self._texts]
        self._ids = cells.ids(shown)
        self.shortened = np.asarray(shortened or [is_long(query) for query in self._texts], bool)
        long = np.flatnonzero(self._ids.lengths > most)
        if len(long):
            cut = cells.cut([shown[query] for query in long], np.full(len(long), most))
            self._ids = self._ids.replaced(long, cut)
            self.shortened[long] = True

    def __getitem__(self, search: int) -> np.ndarray:
        """int32, the query of a search event."""
        return self._ids[self._of_search[search]]

    def text(self, search: int) -> str:
        """The query of a search event as the log has it."""
        return self._texts[self._of_search[search]]

    def shortened_of(self, searches: np.ndarray) -> int:
        """How many of these search events have a query that is cut."""
        return int(self.shortened[self._of_search[searches]].sum())
