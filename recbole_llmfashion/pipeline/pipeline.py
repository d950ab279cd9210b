"""The stages of one run on one dataset: what it teaches, and what the same dataset is asked with it.

learned.py and asked.py hold the stages; this module joins them and knows where CORE's table comes from.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.dataset import LLMFashionRecDataset
from recbole_llmfashion.llm.generation.response_cache import AnswerBook
from recbole_llmfashion.pipeline.inference import Asked
from recbole_llmfashion.pipeline.language_model import Engine
from recbole_llmfashion.pipeline.training import Learned
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.memory import QueryProductMemory
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.retrieval.id_list import IdList
from recbole_llmfashion.retrieval.ranking import Parts
from recbole_llmfashion.stage_store import StageStore


class Pipeline:
    """The stages of one run.

    Args:
        config: of LLMFashionRec.
        dataset: the whole dataset.
        store: where stages lie.
        core_table: trains CORE, or finds it trained, and gives its table [N, d].

    Attributes:
        validates: whether validation rows may be looked at.
        details: what the result says beside `report`.
    """

    validates = True
    details: Mapping[str, Any] = {}

    def __init__(
        self, config: LLMFashionConfig, dataset: LLMFashionRecDataset, store: StageStore, core_table: Callable[[], Any]
    ) -> None:
        self.config, self.dataset, self._make_core_table = config, dataset, core_table
        texts = DatasetTexts(dataset)
        self.catalogue, self.queries = texts.catalogue, texts.queries
        self.learned = Learned(config, texts, store)
        self.asked = Asked(config, texts, self.learned, store, dates=dataset.has_dates, remember=True)

    @property
    def engine(self) -> Engine:
        """The LLM's side."""
        return self.learned.engine

    @property
    def memory(self) -> QueryProductMemory | None:
        """The query-product memory."""
        return self.asked.memory

    @property
    def builder(self) -> PromptBuilder:
        """Prompts in the backbone's ids."""
        return self.asked.builder

    @property
    def book(self) -> AnswerBook:
        """Answers by prompt, as well as is known."""
        return self.asked.book

    @property
    def report(self) -> dict[str, Any]:
        """What the stages measured so far."""
        return self.learned.report | self.asked.report

    @cached_property
    def core_table(self) -> np.ndarray:
        """[N, d] CORE's rows by catalogue position."""
        return np.asarray(self._make_core_table())

    @property
    def popularity(self) -> np.ndarray:
        """[N] what the last fallback ranks by."""
        return self.dataset.popularity()

    def lists(self) -> Parts:
        """The two lists and the last fallback; no prompt has an answer before `learn` brings a book that has."""
        ids = IdList(self.core_table, self.asked.texts.tie, self.asked.near("items"))
        return self.asked.parts(ids, self.popularity, ids.sessions())

    def learn(self, train_data: LLMFashionRecDataLoader) -> Iterator[str]:
        """The LLM's stages, as Learned.learn yields them; `book` then answers as well as is known."""
        examples = self.asked.examples(train_data)
        for step in self.learned.learn(examples, self.asked.index, self.asked.builder.speech):
            self.asked.new_book()
            yield step

    def answer(self, loader: LLMFashionRecDataLoader) -> None:
        """Prompts and responses for a loader's rows."""
        self.asked.answer(loader)
