"""Rows of items' tokens learn only from steps whose prompts hold the item.

As wrong answers all rows get some gradient at every step, and Adam makes a step of the full rate of the smallest one,
so the row of a rare item would drift far from the words it was made from before it is seen once. Knows no losses.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.llm.adapter import ROWS
from recbole_llmfashion.llm.examples import Example


class SeenRows:
    """The trainable rows of a peft model; none where it has none.

    Args:
        model: a peft model; with None nothing is held back.
    """

    def __init__(self, model: Any) -> None:
        named = () if model is None else model.named_parameters()
        found = [value for name, value in named if ROWS in name and value.requires_grad]
        self._rows: list[torch.nn.Parameter] = found
        # items' tokens are the last of the vocabulary
        self._first = model.config.vocab_size - len(found[0]) if found else 0

    @contextmanager
    def learning(self, examples: Sequence[Example]) -> Iterator[None]:
        """Within, a step may move every row; afterwards those of items that no example holds are where they were."""
        if not self._rows:
            yield
            return
        ids = np.unique(np.concatenate([array for e in examples for array in (e.prompt, e.response)]))
        unseen = np.ones(len(self._rows[0]), bool)
        unseen[ids[ids >= self._first] - self._first] = False
        at = torch.from_numpy(np.flatnonzero(unseen)).to(self._rows[0].device)
        before = [rows.detach()[at] for rows in self._rows]
        yield
        with torch.no_grad():
            for rows, kept in zip(self._rows, before, strict=True):
                rows[at] = kept
