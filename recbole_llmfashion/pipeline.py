"""What each stage of LLMFashionRec takes and leaves behind, through the stage store.

A stage's inputs are the digests of what it really reads: training stages read train rows, valid rows and `.item`, so a
test target can change none of them, and a key of a later stage can change no earlier one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from logging import getLogger
from typing import Any

import numpy as np

from recbole_llmfashion import settings
from recbole_llmfashion.config import LLMFashionConfig
from recbole_llmfashion.data.dataset import TARGET_PURCHASE, LLMFashionRecDataset
from recbole_llmfashion.data.fixed_order import tie_rank
from recbole_llmfashion.embedding.clip import ClipText, load_clip, train_clip
from recbole_llmfashion.embedding.pairs import fold
from recbole_llmfashion.embedding.title import TitleModel, derive_pairs, train_title_model
from recbole_llmfashion.engine import Engine
from recbole_llmfashion.llm.answers import AnswerBook
from recbole_llmfashion.llm.examples import Example
from recbole_llmfashion.model.llmfashionrec import Parts
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.prompt.calendar import MONTHS
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory
from recbole_llmfashion.prompt.response import format_response
from recbole_llmfashion.prompt.template import UNTITLED, get_template, neutralize
from recbole_llmfashion.retrieval.id_list import IdList
from recbole_llmfashion.retrieval.title_list import TitleList
from recbole_llmfashion.stages import StageStore, sha256_arrays, sha256_texts, stage_seed

STEPS = ("memory", "embedded", "adapter")  # of `learn`
TEMPLATE_WEIGHT = 1000  # how often an embedded tokenizer reads the template's words: as often as prompts repeat them


def training_rows(users: np.ndarray, purchase: np.ndarray, per_user: int) -> np.ndarray:
    """Rows that the LLM learns from: of each user purchases first, latest first, then clicks, at most `per_user`.

    Args:
        users: [n] of the training rows, each user's in order of time.
        purchase: [n] 1 where the row's target is a purchase.
        per_user: docs/method.md's targets_per_user; 1 is the paper's.

    Returns:
        row indices, ascending.
    """
    order = np.lexsort((-np.arange(len(users)), -purchase, users))
    sorted_users = users[order]
    first = np.searchsorted(sorted_users, sorted_users, side="left")
    return np.sort(order[np.arange(len(users)) - first < per_user])


def can_contrast(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether (query, title) pairs hold two queries and two titles, the least that a text model can tell apart."""
    return all(len({fold(pair[side]) for pair in pairs}) > 1 for side in (0, 1))


def _silent(prompts: Sequence[np.ndarray]) -> list[str]:
    """No answer to any prompt: what is ranked then is the fallback, the memory's products and popularity."""
    return [""] * len(prompts)


class Pipeline:
    """The stages of one run.

    Args:
        config: of LLMFashionRec.
        dataset: the whole dataset.
        store: where stages lie.
        core_table: trains CORE, or finds it trained, and gives its table [N, d].
    """

    def __init__(
        self, config: LLMFashionConfig, dataset: LLMFashionRecDataset, store: StageStore, core_table: Callable[[], Any]
    ) -> None:
        self.config, self.dataset, self.store, self._core_table = config, dataset, store, core_table
        self.catalogue, self.log = dataset.catalogue, dataset.search_log
        self.show_progress = bool(config["show_progress"])
        self.tie = tie_rank(self.catalogue.item_ids)
        # what a response says is cleaned text, so the text models read cleaned text too
        self.titles = [neutralize(title) or UNTITLED for title in self.catalogue.titles]
        self.queries = [neutralize(query) for query in self.log.queries]
        self.book = AnswerBook(_silent)
        self._answered: list[LLMFashionRecDataLoader] = []
        self.report: dict[str, Any] = {"clip": "none: the training log has no two queries with items of two titles"}

    def _seed(self, stage: str) -> int:
        return stage_seed(self.config["seed"], stage)

    @cached_property
    def _pairs(self) -> dict[str, list[tuple[str, str]]]:
        """(query, title) pairs of the training log: `bought` by purchase, `led` by any item action."""
        rows = self.dataset.training_actions
        rows = rows[rows["search"] >= 0]
        texts = [
            (self.queries[self.log.query_index[search]], self.titles[item])
            for search, item in zip(rows["search"], rows["item"], strict=True)
        ]
        bought = [pair for pair, purchase in zip(texts, rows["purchase"], strict=True) if purchase]
        return {"bought": bought, "led": texts}

    @cached_property
    def clip(self) -> ClipText | None:
        """The text tower behind the memory's keys."""
        if self.config["clip_pretrained"]:
            clip = load_clip(self.config["clip_model"], self.config["clip_pretrained"])
        elif can_contrast(self._pairs["led"]):
            pairs, chosen = self._pairs["led"], settings.clip_settings(self.config, self._seed("clip"))
            inputs = {"settings": asdict(chosen), "pairs": sha256_texts(text for pair in pairs for text in pair)}
            folder = self.store.get(
                "clip", inputs, lambda folder: train_clip(pairs, chosen, self.show_progress).save(folder)
            )
            clip = ClipText.load(folder)
        else:
            return None
        self.report["clip"] = clip.source
        getLogger(__name__).info(f"query-product memory: CLIP text tower {clip.source}")
        return clip

    @cached_property
    def memory(self) -> QueryProductMemory | None:
        """The query-product memory over the training log; None where there is nothing to remember."""
        log = self._memory_log()
        if not len(log.search) or self.clip is None or not self.config["memory_products"]:
            return None
        memory = QueryProductMemory(
            log,
            self.queries,
            self.clip.encode,
            neighbors=self.config["memory_neighbors"],
            products=self.config["memory_products"],
            tie_rank=self.tie,
        )
        memory.prepare(self.queries)
        return memory

    def _memory_log(self) -> MemoryLog:
        training = np.flatnonzero(self.log.training)
        counts = np.diff(self.log.result_ptr)[training]
        if counts.sum():
            search = np.repeat(training, counts)
            first = self.log.result_ptr[search]
            position = np.arange(len(search)) - np.repeat(np.cumsum(counts) - counts, counts)
            return MemoryLog(search, self.log.query_index[search], self.log.result_items[first + position], position)
        rows = self.dataset.training_actions
        rows = rows[(rows["search"] >= 0) & np.isin(rows["search"], training)]
        search, item = rows["search"].to_numpy(), rows["item"].to_numpy()
        return MemoryLog(search, self.log.query_index[search], item, np.zeros(len(rows), np.int64))

    @cached_property
    def engine(self) -> Engine:
        """The LLM's side: tokenizer, backbone, adapter, generator."""
        return Engine(self.config, self.store, self._tokenizer_texts)

    def _tokenizer_texts(self) -> list[str]:
        """What an embedded tokenizer is trained on: items as prompts and responses show them, the training queries, and
        the template's own words, often enough that each mark is few tokens."""
        template = get_template(self.config["template"])
        texts = []
        for i, (item_id, title) in enumerate(zip(self.catalogue.item_ids, self.titles, strict=True)):
            attributes = {name: neutralize(values[i]) for name, values in self.catalogue.attributes.items()}
            month = template.date(MONTHS[i % len(MONTHS)])
            texts += [template.item(item_id, title, attributes) + month, format_response(item_id, title)]
        used = np.unique(self.log.query_index[self.log.training])
        words = "".join(value for value in vars(template).values())
        return [*texts, *(f" {self.queries[i]}" for i in used), *[words] * TEMPLATE_WEIGHT]

    @cached_property
    def builder(self) -> PromptBuilder:
        """Prompts in the backbone's ids."""
        return PromptBuilder(
            self.engine.tokenizer,
            get_template(self.config["template"]),
            self.catalogue,
            self.queries,
            self.log.query_index,
            self.memory,
            settings.prompt_settings(self.config, self.dataset.has_dates),
        )

    def examples(self, train_data: LLMFashionRecDataLoader) -> list[Example]:
        """Training prompts with their responses."""
        feat = train_data._dataset.inter_feat
        users, purchase = feat[self.dataset.uid_field].numpy(), feat[TARGET_PURCHASE].numpy()
        rows = training_rows(users, purchase, self.config["targets_per_user"])
        targets = (feat[self.dataset.iid_field].numpy()[rows] - 1).tolist()
        made = (prompt for prompt, _ in train_data.prompts(rows))
        return [
            Example(prompt.ids, self.builder.response(target)) for prompt, target in zip(made, targets, strict=True)
        ]

    @cached_property
    def title_model(self) -> TitleModel:
        """The LSTM over titles and queries."""
        pairs, kind = self._pairs["bought"], "queries"
        if not can_contrast(pairs):
            texts = [(title, self.catalogue.attribute_text(i)) for i, title in enumerate(self.titles)]
            pairs, kind = derive_pairs(texts, self._seed("title_pairs")), "derived"
        self.report["title_pairs"] = kind
        chosen = settings.title_settings(self.config, self._seed("title"))
        inputs = {
            "settings": asdict(chosen),
            "pairs": sha256_texts(text for pair in pairs for text in pair),
            "catalogue": sha256_texts(self.titles),
        }
        titles = self.titles
        folder = self.store.get(
            "title", inputs, lambda folder: train_title_model(pairs, titles, chosen, self.show_progress).save(folder)
        )
        return TitleModel.load(folder)

    def lists(self) -> Parts:
        """The two lists and the last fallback; no prompt has an answer before `learn` brings a book that has."""
        matrix = self.title_model.encode(self.titles, show_progress=self.show_progress)
        return Parts(
            answer=self.book,
            position_of={token: i for i, token in enumerate(self.builder.item_tokens)},
            id_list=IdList(self._core_table(), self.tie),
            title_list=TitleList(matrix, self.title_model.encode, self.tie),
            popularity=self.dataset.popularity(),
        )

    def learn(self, train_data: LLMFashionRecDataLoader) -> Iterator[str]:
        """The LLM's stages. One of STEPS is yielded before a stage that costs time, `adapter` always; `book` then
        answers as well as is known: not at all, from the pre-trained backbone, from its adapter."""
        train_data.builder = self.builder
        if self.engine.prepare(self.examples(train_data)):
            yield "memory"
        if self.engine.pretrain():
            self._new_book()
            yield "embedded"
        self.engine.finetune()
        self._new_book()
        self.report |= self.engine.report
        yield "adapter"

    def _new_book(self) -> None:
        self.book = AnswerBook(self._generate)
        self._answered.clear()

    def _generate(self, prompts: Sequence[np.ndarray]) -> list[str]:
        builder = self.builder
        spoken = [[*ids, *builder.separator] for ids in builder.item_ids]
        return self.engine.generate(prompts, spoken, builder.id_prefix.tolist())

    def answer(self, loader: LLMFashionRecDataLoader) -> None:
        """Prompts and responses for a loader's rows: generated once, then found in the store."""
        loader.builder = self.builder
        if not self.engine.identity or any(known is loader for known in self._answered):
            return
        self._answered.append(loader)
        before = self.builder.prompts_truncated
        prompts = [prompt.ids for prompt, _ in loader.prompts(np.arange(len(loader._dataset)))]
        self.report["prompts_truncated"] = self.builder.prompts_truncated - before
        inputs = {
            "adapter": self.engine.identity,
            "decoding": asdict(settings.decoding_settings(self.config, self._seed("responses"))),
            "prompts": sha256_arrays(*prompts),
            "ids": sha256_texts(self.builder.item_tokens),
        }
        folder = self.store.get("responses", inputs, lambda folder: self.book.write(prompts, folder))
        self.book.load(folder)
