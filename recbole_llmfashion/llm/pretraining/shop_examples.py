"""Training examples for a backbone from a shop: prompts in the package's own format, and the items' words.

There are two kinds of examples: listed ones with one token per item, in which every item of a sequence is a target, and
spelled ones with IDs and titles as text, in which only the response is.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES, Catalogue
from recbole_llmfashion.data.search_log import SearchLog
from recbole_llmfashion.data.split import click_filter_mask
from recbole_llmfashion.data.timeline import ORDER_ONLY_BELOW, Timeline
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.prompt.builder import PromptBuilder, PromptSettings
from recbole_llmfashion.prompt.item_tokens import atomic_tokens, item_words
from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory
from recbole_llmfashion.prompt.template import get_template

HASHED = 512  # width of the hashed bags of words that the memory compares queries by, in place of CLIP
NEIGHBORS, PRODUCTS = 3, 5
MAX_LENGTH, MAX_NEW_TOKENS = 256, 40

# a user's purchases as rows of the log, oldest first -> those that are the response of an example
Responses = Callable[[np.ndarray], Sequence[int]]


@dataclass(frozen=True)
class ShopExamples:
    """The examples of one shop.

    Args:
        name: name of its folder.
        words: for each item, the token ids of its lower-case text.
        listed: examples with one token per item; item tokens start at the vocabulary's size.
        spelled: examples with IDs and titles as text.
        positions: int64 [N], the catalogue position of each item token.
        passes: epochs over the listed examples; None for those of the settings.
    """

    name: str
    words: list[np.ndarray]
    listed: list[Example]
    spelled: list[Example]
    positions: np.ndarray
    passes: float | None = None


def hashed_words(texts: Sequence[str]) -> np.ndarray:
    """Bags of words as unit vectors, float32 [n, 512]; the hash of a word is the same in every process."""
    vectors = np.zeros((len(texts), HASHED), np.float32)
    for row, text in enumerate(texts):
        for word in normalize_text(text).split():
            vectors[row, zlib.crc32(word.encode()) % HASHED] += 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


class Shop:
    """The data of a shop that both kinds of examples are built from.

    Args:
        folder: atomic files, grouped by user and in order of time.
    """

    def __init__(self, folder: AtomicFolder) -> None:
        self.catalogue = Catalogue.from_frame(folder.items)
        self.events = folder.interactions
        self.users = pd.factorize(self.events["user_id"])[0].astype(np.int64) + 1
        ids = dict(zip(self.events["user_id"], self.users.tolist(), strict=True))
        self.n_users = int(self.users.max(initial=0)) + 1
        self.log = SearchLog.from_frame(folder.searches, ids, self.catalogue, np.full(self.n_users, np.inf))
        self.tie = self.catalogue.tie_rank
        self.items = self.catalogue.positions(self.events["item_id"]).to_numpy(np.int64)
        self.purchase = (self.events["action"] == "purchase").to_numpy()
        self.times = self.events["timestamp"].to_numpy(np.float64)

    @property
    def has_dates(self) -> bool:
        """Whether the timestamps are dates, not only an order."""
        return bool(self.times.min(initial=np.inf) >= ORDER_ONLY_BELOW)

    @cached_property
    def memory(self) -> QueryProductMemory | None:
        """Query-product memory of the shown results, with queries compared by their words; None without a search."""
        if not len(self.log):
            return None
        search = np.repeat(np.arange(len(self.log)), np.diff(self.log.result_ptr))
        position = np.arange(len(search)) - self.log.result_ptr[search]
        rows = MemoryLog(search, self.log.query_index[search], self.log.result_items, position)
        memory = QueryProductMemory(rows, self.log.queries, hashed_words, NEIGHBORS, PRODUCTS, self.tie)
        memory.prepare(self.log.queries)
        return memory

    def builder(self, tokenizer: Any, listed: bool) -> PromptBuilder:
        """Builds prompts with one token per item, or with IDs and titles as text."""
        return PromptBuilder(
            tokenizer,
            get_template("compact"),
            self.catalogue,
            self.log.queries,
            self.log.query_index,
            self.memory,
            PromptSettings(TEXT_ATTRIBUTES, MAX_LENGTH, MAX_NEW_TOKENS, self.has_dates, item_text=not listed),
            atomic_tokens(self.tie, len(tokenizer)) if listed else None,
        )

    def listed(self, tokenizer: Any, responses: Responses) -> list[Example]:
        """Examples with one token per item, every item a target; without clicks on items that are bought."""
        keep = click_filter_mask(self.users, self.items, self.purchase, np.ones(len(self.items), bool))
        return self._examples(self.builder(tokenizer, listed=True), keep, True, responses)

    def spelled(self, tokenizer: Any, responses: Responses) -> list[Example]:
        """Examples with IDs and titles as text, with every click: a third of the responses can be copied."""
        everything = np.ones(len(self.items), bool)
        return self._examples(self.builder(tokenizer, listed=False), everything, False, responses)

    def words(self, tokenizer: Any) -> list[np.ndarray]:
        """For each item, the token ids of its lower-case text."""
        return item_words(tokenizer, self.catalogue.titles, self.catalogue.attributes, TEXT_ATTRIBUTES)

    def positions(self) -> np.ndarray:
        """int64 [N], the catalogue position of each item token."""
        positions = np.empty(len(self.tie), np.int64)
        positions[self.tie] = np.arange(len(self.tie))
        return positions

    def _examples(
        self, builder: PromptBuilder, keep: np.ndarray, every_item: bool, responses: Responses
    ) -> list[Example]:
        """The examples of all users.

        Args:
            builder: builds the prompts.
            keep: bool [n], the interactions that prompts show.
            every_item: whether the items of the prompt are targets too.
            responses: chooses among a user's purchases.
        """
        users, items, purchase, times = (column[keep] for column in (self.users, self.items, self.purchase, self.times))
        timeline = Timeline(users, items, purchase, times, self.log, self.n_users)
        rows = np.flatnonzero(purchase)
        rows = rows[np.argsort(users[rows], kind="stable")]
        examples = []
        for bought in np.split(rows, 1 + np.flatnonzero(np.diff(users[rows]))) if len(rows) else []:
            user = int(users[bought[0]])
            for at in responses(bought):
                before = timeline.events(user, int(timeline.length_before[at]))
                if not len(before):
                    continue
                prompt = builder.encode(before, times[at], builder.memory_products(before, training=True))
                examples.append(
                    Example(prompt.ids, builder.response(int(items[at])), prompt.id_positions if every_item else None)
                )
        return examples
