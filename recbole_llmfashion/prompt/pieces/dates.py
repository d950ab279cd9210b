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
        self._actions: dict[str, np.ndarray] = {}  # by text, not by day: months and holidays are few
        self._moments: dict[str, np.ndarray] = {}

    def action(self, seconds: float) -> np.ndarray:
        """int32, the date of an action, in seconds since 1970."""
        date = coarse_date(int(seconds // DAY))
        if date not in self._actions:
            self._actions[date] = self._cells.words([self._template.date(date)])[0]
        return self._actions[date]

    def moment(self, seconds: float) -> np.ndarray:
        """int32, the date of the recommendation."""
        date = coarse_date(int(seconds // DAY))
        if date not in self._moments:
            self._moments[date] = self._cells.words([self._template.moment(date)])[0]
        return self._moments[date]
