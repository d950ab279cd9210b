"""Counts the lines of a file that cannot be used, by reason; too large a share of them is an error."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.errors import UserError

MAX_BROKEN = 0.01
# if so many first lines are all broken, the file is rejected without reading the rest
_HOPELESS = 10_000


class BrokenLines:
    """The broken lines of one file.

    Args:
        file: name of the file.
        max_share: largest share of broken lines, from 0 to 1.

    Attributes:
        n_lines: number of lines read; the reader increases it.
        reasons: reason -> number of broken lines.

    >>> broken = BrokenLines("log.csv", max_share=0.5)
    >>> broken.n_lines = 10
    >>> broken.add("no user", line=3)
    >>> broken.finish()
    ['log.csv: 1 lines left out: no user']
    """

    def __init__(self, file: str, max_share: float = MAX_BROKEN) -> None:
        self.file, self.max_share = file, max_share
        self.n_lines = 0
        self.reasons: Counter[str] = Counter()
        self._first: tuple[int, str] | None = None

    @property
    def count(self) -> int:
        """Number of broken lines."""
        return self.reasons.total()

    def add(self, reason: str, line: int | None = None, n: int = 1) -> None:
        """Count n broken lines.

        Args:
            reason: for the message.
            line: number of the first of them, if known.
            n: their number.

        Raises:
            UserError: the first 10,000 lines are all broken.
        """
        if self._first is None and line is not None:
            self._first = line, reason
        self.reasons[reason] += n
        if self.count >= _HOPELESS and self.count >= self.n_lines:
            raise UserError(f"{self.file}: none of the first {self.n_lines:,} lines can be used: {self._why()}")

    def add_rows(self, reason: str, rows: NDArray[np.bool_]) -> None:
        """Count the True rows of a mask, none included."""
        n = int(rows.sum())
        if n:
            self.add(reason, n=n)

    def usable_rows(self, checks: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """Count the rows that fail a check, each for the first one that it fails.

        Args:
            checks: reason -> [n] whether each row passes; one or more, in order.

        Returns:
            [n] whether each row passes them all.

        >>> broken = BrokenLines("log.csv")
        >>> broken.usable_rows({"no time": np.array([True, False, True]), "no user": np.array([True, False, False])})
        array([ True, False, False])
        >>> dict(broken.reasons)
        {'no time': 1, 'no user': 1}
        """
        usable = np.ones(len(next(iter(checks.values()))), bool)
        for reason, passes in checks.items():
            self.add_rows(reason, usable & ~passes)
            usable &= passes
        return usable

    def finish(self) -> list[str]:
        """One line of text per reason.

        Raises:
            UserError: the share of broken lines is above `max_share`, or the file has no lines.
        """
        if not self.n_lines:
            raise UserError(f"{self.file}: no lines; is this the right file?")
        if self.count > self.max_share * self.n_lines:
            raise UserError(
                f"{self.file}: {self.count:,} of {self.n_lines:,} lines are broken, more than --max-broken"
                f" {self.max_share:g} allows: {self._why()}; fix the file or increase --max-broken"
            )
        return [f"{self.file}: {n:,} lines left out: {reason}" for reason, n in self.reasons.items()]

    def _why(self) -> str:
        if self._first is not None:
            return f"line {self._first[0]:,} is the first: {self._first[1]}"
        return next(iter(self.reasons), "")
