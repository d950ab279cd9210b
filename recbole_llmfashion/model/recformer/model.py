"""Recformer and "Recformer w/ query" as RecBole sequential models (arXiv 2305.13731).

Both read the same events of a user's timeline, those before the row; RecformerQuery keeps the searches among them as
items whose one attribute is the query. A row's user and the length of its history are all that is read of an
interaction: the target, which RecBole's evaluation interaction contains, is not. The trainer hands over the scorer;
neither class knows how it was trained.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch.nn.functional import pad

from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES, Catalogue
from recbole_llmfashion.data.dataset import HISTORY_LENGTH, LLMFashionRecDataset
from recbole_llmfashion.data.timeline import SEARCH
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.scorer import Scorer
from recbole_llmfashion.prompt.texts import UNTITLED, sanitize

TITLE, QUERY = "title", "query"
ATTRIBUTES = (TITLE, *TEXT_ATTRIBUTES)
BELOW_ALL = -2.0  # of the pad row: less than any cosine


class Recformer(SequentialRecommender):
    """See the module.

    Args:
        config: recformer_attributes, recformer_max_items.
        dataset: the training part.

    Attributes:
        scorer: set by the trainer.
        with_queries: searches are a part of a history.

    Raises:
        UserError: an attribute that items do not have.
    """

    input_type = InputType.POINTWISE
    with_queries = False
    scorer: Scorer

    def __init__(self, config: Any, dataset: LLMFashionRecDataset) -> None:
        super().__init__(config, dataset)
        self.attributes = check_attributes(config["recformer_attributes"])
        self._max_items = int(config["recformer_max_items"])
        self._dataset = dataset

    def item_texts(self, special_tokens: Sequence[str]) -> dict[str, list[str]]:
        """Attribute name to a text for each item, in the order in which an item shows them."""
        return item_columns(self._dataset.catalogue, self.attributes, special_tokens)

    def query_texts(self, special_tokens: Sequence[str]) -> dict[str, list[str]]:
        """The same of the queries, which are entries behind the items; none where searches are left out."""
        queries = self._dataset.search_log.queries if self.with_queries else ()
        return {QUERY: [sanitize(query, special_tokens) for query in queries]}

    def history(self, user: int, length: int) -> np.ndarray:
        """[at most max_items] int64 entries among the user's first `length` events, most recent first."""
        events = self._dataset.timeline.events(user, length)
        search = events.kind == SEARCH
        entries = events.ref.copy()
        queries = self._dataset.search_log.query_index
        entries[search] = len(self._dataset.catalogue) + queries[events.ref[search]]
        kept = entries if self.with_queries else entries[~search]
        return kept[::-1][: self._max_items]

    def histories(self, interaction: Any) -> list[np.ndarray]:
        """One history a row; reads the row's user and the length of its history, and nothing else."""
        rows = zip(interaction[self.USER_ID].tolist(), interaction[HISTORY_LENGTH].tolist(), strict=True)
        return [self.history(user, length) for user, length in rows]

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """[B, N + 1] cosines by RecBole's internal id, the pad row below them all."""
        histories = self.scorer.encode(self.histories(interaction))
        return pad(histories @ self.scorer.items.T, (1, 0), value=BELOW_ALL)

    def predict(self, interaction: Any) -> torch.Tensor:
        """[B] the score of each row's own item."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None]).squeeze(1)


class RecformerQuery(Recformer):
    """Recformer whose histories hold the user's searches too: the paper's "Recformer w/ query"."""

    with_queries = True


def check_attributes(names: Any) -> tuple[str, ...]:
    """The attributes as a tuple; a UserError where one is unknown, twice there, or none is."""
    if not names or set(names) - set(ATTRIBUTES) or len(set(names)) < len(names):
        raise UserError(f"recformer_attributes: expected some of {', '.join(ATTRIBUTES)}, each once, found {names}")
    return tuple(names)


def item_columns(
    catalogue: Catalogue, attributes: Sequence[str], special_tokens: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Attribute name to a clean text for each item; an item of which nothing would be left shows UNTITLED."""
    columns: Mapping[str, Sequence[str]] = {TITLE: catalogue.titles, **catalogue.attributes}
    clean = {name: [sanitize(text, special_tokens) for text in columns[name]] for name in attributes}
    for i in range(len(catalogue)):
        if not any(values[i] for values in clean.values()):
            clean[attributes[0]][i] = UNTITLED
    return clean
