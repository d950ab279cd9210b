"""Changes of a state's items that are made in order, and one new `ServingState` with all of them.

A change depends on those before it: a new item takes the ID embedding of the nearest live title, and its token an
embedding of words weighted by how many items have them then. So the pool and the tokens follow one change after the
other; what is built of the whole pool, such as the tokenized catalogue, waits for the last one.
"""

from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recbole_llmfashion.llm.modeling.item_embeddings import set_item_embeddings, word_rows
from recbole_llmfashion.serving.new_item_tokens import extend_item_tokens
from recbole_llmfashion.serving.state import ServingState

ItemChange = pd.DataFrame | Sequence[str]  # items to add, or ids of items to remove


class ChangeError(Exception):
    """A change cannot be made; its cause says why.

    Args:
        made: number of changes before it, which were made.
    """

    def __init__(self, made: int) -> None:
        super().__init__(f"change {made + 1} cannot be made")
        self.made = made


class NextItems:
    """The items of a state after changes. Neither the state nor the model changes before `state` is called.

    Args:
        before: the state.
    """

    def __init__(self, before: ServingState) -> None:
        self._before, self._run = before, before.run
        self._pool, self._tokens = before.pool, before.item_tokens
        self._rows: dict[int, Tensor] = {}  # embeddings of new tokens

    def add(self, frame: pd.DataFrame) -> None:
        """As `Recommender.add_items`.

        Raises:
            UserError: a column is unknown, a cell is missing or invalid, or an item already exists; nothing is added.
        """
        run, pool = self._run, self._pool.with_items(frame, self._run.encoders)
        if self._tokens is not None:
            index, tokens = extend_item_tokens(run, self._tokens, self._pool, pool)
            if len(tokens):
                rows = word_rows(run.model, index, run.row_norm)[tokens - index.first]
                self._rows.update(zip(tokens.tolist(), rows, strict=True))
            self._tokens = index
        self._pool = pool

    def remove(self, item_ids: Iterable[str]) -> None:
        """As `Recommender.remove_items`.

        Raises:
            UserError: an item does not exist, or no item would be left; nothing is removed.
        """
        self._pool = self._pool.without(item_ids)

    def make(self, changes: Sequence[ItemChange]) -> tuple[int, Exception | None]:
        """Makes changes until one fails: how many were made, and the error of the next one."""
        for made, change in enumerate(changes):
            try:
                self.add(change) if isinstance(change, pd.DataFrame) else self.remove(change)
            except Exception as error:
                return made, error
        return len(changes), None

    def state(self, model_lock: Lock) -> ServingState:
        """The state with these items; `before` without changes. Adds the embeddings of new tokens to the model.

        Args:
            model_lock: held while the model changes.

        Raises:
            UserError: see `ServingState`.
        """
        if self._pool is self._before.pool:
            return self._before
        if self._rows:
            tokens = np.asarray(sorted(self._rows), np.int64)
            with model_lock:
                set_item_embeddings(self._run.model, tokens, torch.stack([self._rows[int(token)] for token in tokens]))
        return ServingState(self._run, self._pool, self._tokens, self._before)
