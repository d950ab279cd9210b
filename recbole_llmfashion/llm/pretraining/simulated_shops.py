"""Training examples for tiny-falcon from a simulated shop: prompts in the package's own format, and the items' words.

A shop is a folder of atomic files. Its brands are replaced by invented names, so that the model learns nothing about
brands of evaluation datasets. There are two kinds of examples: listed ones with one token per item, in which every item
of a sequence is a target, and spelled ones with IDs and titles as text, in which only the response is.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES, Catalogue
from recbole_llmfashion.data.search_log import SearchLog
from recbole_llmfashion.data.split import click_filter_mask
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.data.timeline import Timeline
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.prompt.builder import PromptBuilder, PromptSettings
from recbole_llmfashion.prompt.item_tokens import atomic_tokens, item_words
from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory
from recbole_llmfashion.prompt.template import get_template

SYLLABLES = (
    *("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lu", "my", "no", "pa", "qui", "ru"),
    *("sho", "ta", "ve", "wi", "xo", "yu", "zen", "tri", "plo", "kra"),
)
HASHED = 512  # width of the hashed bags of words that the memory compares queries by, in place of CLIP
NEIGHBORS, PRODUCTS = 3, 5
MAX_LENGTH, MAX_NEW_TOKENS = 256, 40
EARLIER = 0.3  # share of users whose example ends at an earlier purchase than their last


@dataclass(frozen=True)
class SimulatedShop:
    """The examples of one shop.

    Args:
        name: name of its folder.
        words: for each item, the token ids of its lower-case text.
        listed: examples with one token per item; item tokens start at the vocabulary's size.
        spelled: examples with IDs and titles as text.
        positions: int64 [N], the catalogue position of each item token.
    """

    name: str
    words: list[np.ndarray]
    listed: list[Example]
    spelled: list[Example]
    positions: np.ndarray


def rename_brands(folder: AtomicFolder, rng: np.random.Generator) -> AtomicFolder:
    """Replaces the brands in titles, attributes and queries by invented names.

    Args:
        folder: atomic files; not changed.
        rng: random generator of the names.
    """
    # sorted, because names must not depend on a set's order; longest first, so that no part of a brand is replaced
    brands = sorted({brand for brand in folder.items["brand"] if brand}, key=lambda brand: (-len(brand), brand))
    names: dict[str, str] = {}
    while len(names) < len(brands):
        name = "".join(rng.choice(SYLLABLES, rng.integers(2, 4))).capitalize()
        if name not in names.values() and name not in brands:
            names[brands[len(names)]] = name
    if not names:
        return folder
    lower = {brand.lower(): name for brand, name in names.items()}
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, brands)) + r")\b", re.IGNORECASE)

    def renamed(match: re.Match[str]) -> str:
        name = lower[match[0].lower()]
        return name.lower() if match[0].islower() else name

    items, searches = folder.items.copy(), folder.searches.copy()
    for frame, column in ((items, "title"), (items, "brand"), (searches, "query")):
        frame[column] = [pattern.sub(renamed, text) for text in frame[column]]
    return AtomicFolder(folder.name, folder.path, folder.interactions, searches, items)


def hashed_words(texts: Sequence[str]) -> np.ndarray:
    """Bags of words as unit vectors, float32 [n, 512]; the hash of a word is the same in every process."""
    vectors = np.zeros((len(texts), HASHED), np.float32)
    for row, text in enumerate(texts):
        for word in normalize_text(text).split():
            vectors[row, zlib.crc32(word.encode()) % HASHED] += 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


class _Shop:
    """The data of a shop that both kinds of examples are built from."""

    def __init__(self, folder: AtomicFolder) -> None:
        self.catalogue = Catalogue.from_frame(folder.items)
        self.events = folder.interactions
        self.users = pd.factorize(self.events["user_id"])[0].astype(np.int64) + 1
        ids = dict(zip(self.events["user_id"], self.users.tolist(), strict=True))
        self.n_users = int(self.users.max(initial=0)) + 1
        self.log = SearchLog.from_frame(folder.searches, ids, self.catalogue, np.full(self.n_users, np.inf))
        self.tie = tie_rank(self.catalogue.item_ids)
        self.items = self.catalogue.positions(self.events["item_id"]).to_numpy(np.int64)
        self.purchase = (self.events["action"] == "purchase").to_numpy()
        self.times = self.events["timestamp"].to_numpy(np.float64)

    def memory(self) -> QueryProductMemory:
        """Query-product memory of the shown results, with queries compared by their words."""
        search = np.repeat(np.arange(len(self.log)), np.diff(self.log.result_ptr))
        position = np.arange(len(search)) - self.log.result_ptr[search]
        rows = MemoryLog(search, self.log.query_index[search], self.log.result_items, position)
        memory = QueryProductMemory(rows, self.log.queries, hashed_words, NEIGHBORS, PRODUCTS, self.tie)
        memory.prepare(self.log.queries)
        return memory

    def examples(
        self, builder: PromptBuilder, keep: np.ndarray, every_item: bool, rng: np.random.Generator
    ) -> list[Example]:
        """One example per user; the response is their last purchase or, with probability EARLIER, a random one.

        Args:
            builder: builds the prompts.
            keep: bool [n], the interactions that prompts show.
            every_item: whether the items of the prompt are targets too.
            rng: random generator of the choice of purchase.
        """
        users, items, purchase, times = (column[keep] for column in (self.users, self.items, self.purchase, self.times))
        timeline = Timeline(users, items, purchase, times, self.log, self.n_users)
        rows = np.flatnonzero(purchase)
        rows = rows[np.argsort(users[rows], kind="stable")]
        examples = []
        for bought in np.split(rows, 1 + np.flatnonzero(np.diff(users[rows]))) if len(rows) else []:
            user = int(users[bought[0]])
            at = int(rng.choice(bought) if rng.random() < EARLIER else bought[-1])
            before = timeline.events(user, int(timeline.length_before[at]))
            if not len(before):
                continue
            prompt = builder.encode(before, times[at], builder.memory_products(before, training=True))
            examples.append(
                Example(prompt.ids, builder.response(int(items[at])), prompt.id_positions if every_item else None)
            )
        return examples


def read_shop(path: Path, tokenizer: Any, seed: int) -> SimulatedShop:
    """Reads a shop and builds its examples.

    Args:
        path: a folder of atomic files.
        tokenizer: the backbone's.
        seed: random seed for brand names and for the choice of purchases.
    """
    rng = np.random.default_rng(seed)
    shop = _Shop(rename_brands(read_folder(path), rng))
    memory, template = shop.memory(), get_template("compact")
    item_tokens = atomic_tokens(shop.tie, len(tokenizer))
    listed, spelled = (
        PromptBuilder(
            tokenizer,
            template,
            shop.catalogue,
            shop.log.queries,
            shop.log.query_index,
            memory,
            PromptSettings(TEXT_ATTRIBUTES, MAX_LENGTH, MAX_NEW_TOKENS, dates=True, item_text=item_text),
            tokens,
        )
        for item_text, tokens in ((False, item_tokens), (True, None))
    )
    everything = np.ones(len(shop.items), bool)
    positions = np.empty(len(shop.tie), np.int64)
    positions[shop.tie] = np.arange(len(shop.tie))
    return SimulatedShop(
        name=path.name,
        words=item_words(tokenizer, shop.catalogue.titles, shop.catalogue.attributes, TEXT_ATTRIBUTES),
        listed=shop.examples(
            listed, click_filter_mask(shop.users, shop.items, shop.purchase, everything), every_item=True, rng=rng
        ),
        # no click filter: most purchases follow a click on the item, so a third of the responses can be copied
        spelled=shop.examples(spelled, everything, every_item=False, rng=rng),
        positions=positions,
    )
