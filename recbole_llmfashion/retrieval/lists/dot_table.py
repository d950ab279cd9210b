"""Items that are scored by a dot product with a vector of the query."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from recbole_llmfashion.retrieval.scored_order import TILE


@dataclass
class DotTable:
    """N items; a `retrieval.scored_order.ScoreTable`.

    Args:
        weights: [N, d] float.
        tie: [N] int64.
        bias: [N] float.
        temperature: divides the score.
        unit: whether the rows are normalised.
    """

    weights: Tensor
    tie: Tensor
    bias: Tensor | None = None
    temperature: float = 1.0
    unit: bool = False

    def __post_init__(self) -> None:
        self.items = self.columns = torch.arange(len(self.weights))

    def tiles(self, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
        """See ScoreTable."""
        for start in range(0, len(self.weights), TILE):
            here = slice(start, start + TILE)
            scores = queries @ self._rows(here).T
            if self.bias is not None:
                scores += self.bias[here]
            yield start, scores if self.temperature == 1.0 else scores.div_(self.temperature)

    def score(self, queries: Tensor, items: Tensor) -> Tensor:
        """See ScoreTable."""
        scores = (self._rows(items) * queries[:, None]).sum(dim=2)
        if self.bias is not None:
            scores += self.bias[items]
        return scores / self.temperature

    def _rows(self, chosen: Any) -> Tensor:
        rows = self.weights[chosen]
        return normalize(rows, dim=-1) if self.unit else rows
