"""Token ids of the dates of actions and of the moment of the recommendation."""

import numpy as np

from recbole_llmfashion.prompt.dates import DAY, coarse_date
from recbole_llmfashion.prompt.pieces.cells import CellTokenizer
from recbole_llmfashion.prompt.template import Template


class DatePieces:
    """Coarse dates, each tokenized when it is first met.

    Args:
        cells: turns the words of a date into token ids.
        template: the words around a date.
    """

    def __init__(self, cells: CellTokenizer, template: Template) -> None:
        self._cells, self._template = cells, template
        self._pieces: dict[str, np.ndarray] = {}  # by words, not by day: months and holidays are few

    def action(self, seconds: float) -> np.ndarray:
        """int32, the date of an action, in seconds since 1970."""
        return self._piece(self._template.date(coarse_date(int(seconds // DAY))))

    def moment(self, seconds: float) -> np.ndarray:
        """int32, the date of the recommendation."""
        return self._piece(self._template.moment(coarse_date(int(seconds // DAY))))

    def _piece(self, words: str) -> np.ndarray:
        piece = self._pieces.get(words)
        # setdefault: of two threads that meet a date at once, both get the same object, by which dates are compared
        return self._pieces.setdefault(words, self._cells.words([words])[0]) if piece is None else piece
