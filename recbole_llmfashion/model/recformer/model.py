"""Recformer and "Recformer w/ query" as RecBole sequential models (arXiv 2305.13731).

Both read the events of a user's timeline before the row. RecformerQuery adds the searches among the same items; a
search is an entry whose only attribute is the query, and pushes no item out of the last max_items. From an interaction
they read only the user and the length of the history, never the target, which RecBole's evaluation interaction
contains. The trainer sets the scorer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch.nn.functional import pad

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.dataset import HISTORY_LENGTH, LLMFashionRecDataset
from recbole_llmfashion.data.timeline import SEARCH
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.flatten import newest
from recbole_llmfashion.model.recformer.scorer import Scorer
from recbole_llmfashion.prompt.texts import UNTITLED, sanitize

TITLE, QUERY = "title", "query"
BELOW_ALL = -2.0  # score of the padding item, below any cosine


class Recformer(SequentialRecommender):
    """Recformer on items only.

    Args:
        config: a config of the package.
        dataset: the training part.

    Attributes:
        scorer: set by the trainer.
        with_queries: whether searches are part of a history.

    Raises:
        UserError: an attribute twice, or none.
    """

    input_type = InputType.POINTWISE
    with_queries = False
    scorer: Scorer

    def __init__(self, config: Any, dataset: LLMFashionRecDataset) -> None:
        super().__init__(config, dataset)
        self.attributes = check_attributes(config["recformer_attributes"])
        self._max_items, self._max_tokens = int(config["recformer_max_items"]), int(config["recformer_max_tokens"])
        self._dataset = dataset

    def item_texts(self, special_tokens: Sequence[str]) -> dict[str, list[str]]:
        """For each attribute name the texts of all items, in the order of the attributes in an entry."""
        return item_columns(self._dataset.catalogue, self.attributes, special_tokens)

    def query_texts(self, special_tokens: Sequence[str]) -> dict[str, list[str]]:
        """The query texts, which are entries after the items; empty unless searches are part of a history."""
        queries = self._dataset.search_log.queries if self.with_queries else ()
        return {QUERY: [sanitize(query, special_tokens) for query in queries]}

    def history(self, user: int, length: int) -> np.ndarray:
        """The last max_items items among the user's first `length` events, most recent first, and the searches among
        them where the model has queries; int64."""
        events = self._dataset.timeline.events(user, length)
        search = events.kind == SEARCH
        entries = events.ref.copy()
        queries = self._dataset.search_log.query_index
        entries[search] = len(self._dataset.catalogue) + queries[events.ref[search]]
        kept = entries if self.with_queries else entries[~search]
        return newest(kept[::-1], len(self._dataset.catalogue), self._max_items)[: self._max_tokens]

    def histories(self, interaction: Any) -> list[np.ndarray]:
        """The history of each row; reads only the user and the history length of the interaction."""
        rows = zip(interaction[self.USER_ID].tolist(), interaction[HISTORY_LENGTH].tolist(), strict=True)
        return [self.history(user, length) for user, length in rows]

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] cosines by RecBole's internal item id; the padding item is below all others."""
        histories = self.scorer.encode(self.histories(interaction))
        return pad(histories @ self.scorer.items.T, (1, 0), value=BELOW_ALL)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's item."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None]).squeeze(1)


class RecformerQuery(Recformer):
    """Recformer with the user's searches in the histories, "Recformer w/ query" in the paper."""

    with_queries = True


def check_attributes(names: Any) -> tuple[str, ...]:
    """The attributes as a tuple; whether `.item` has them is checked where it is read.

    Raises:
        UserError: a repeated attribute, or none.
    """
    if not names or len(set(names)) < len(names):
        raise UserError(f"recformer_attributes: expected title or columns of .item, each once, found {names}")
    return tuple(names)


def item_columns(
    catalogue: Catalogue, attributes: Sequence[str], special_tokens: Sequence[str] = ()
) -> dict[str, list[str]]:
    """For each attribute name the sanitized texts of all items; an item without any text gets UNTITLED."""
    columns: Mapping[str, Sequence[str]] = {TITLE: catalogue.titles, **catalogue.attributes}
    clean = {name: [sanitize(text, special_tokens) for text in columns[name]] for name in attributes}
    for i in range(len(catalogue)):
        if not any(values[i] for values in clean.values()):
            clean[attributes[0]][i] = UNTITLED
    return clean
