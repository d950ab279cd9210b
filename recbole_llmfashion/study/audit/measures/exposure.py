"""Exposure of a canary among candidates (Carlini et al. 2019, arXiv 1802.08232), and what chance gives.

    exposure = log2(N) - log2(rank), in bits

N counts the canary and the candidates. Equal scores share their places: the log of the rank is the mean over them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, sqrt

import numpy as np


def exposure(score: float, others: Sequence[float] | np.ndarray) -> float:
    """Bits that a canary's score gives away.

    Args:
        score: of the canary; the higher, the likelier.
        others: [N - 1] of the candidates.

    >>> exposure(-1.0, [-2.0, -3.0, -4.0])  # the first of 4
    2.0
    >>> round(exposure(-3.0, [-2.0, -3.0, -4.0]), 4)  # the second or the third: 2 - (1 + log2 3) / 2
    0.7075
    """
    scores = np.asarray(others, np.float64)
    better, equal = int((scores > score).sum()), int((scores == score).sum())
    places = np.arange(better + 1, better + equal + 2)
    return log2(len(scores) + 1) - float(np.log2(places).mean())


@dataclass(frozen=True)
class Chance:
    """The exposure of a canary that nothing is known of: each of N places is equally likely.

    Args:
        number: N.
    """

    number: int

    @property
    def most(self) -> float:
        """Bits of the first place."""
        return log2(self.number)

    @property
    def mean(self) -> float:
        """Bits on average; 1.44 for a large N.

        >>> Chance(2).mean
        0.5
        """
        return float(self._bits().mean())

    def beyond(self, canaries: int) -> float:
        """The mean exposure of some canaries that chance exceeds in about 1 of 40 audits: two standard errors above.

        >>> Chance(2).beyond(4)  # 0 or 1 bit, so the deviation is 1/2, and 1/4 of the mean of four
        1.0
        """
        return self.mean + 2 * float(self._bits().std()) / sqrt(canaries)

    def _bits(self) -> np.ndarray:
        return log2(self.number) - np.log2(np.arange(1, self.number + 1))
