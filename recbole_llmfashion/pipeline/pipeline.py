"""The stages of one run on one dataset: what it teaches, and what the same dataset is asked with it.

learned.py and asked.py hold the stages; this module joins them and knows where CORE's table comes from.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig, no_core, source_config
from recbole_llmfashion.config.layers import tuned_file
from recbole_llmfashion.data.dataset import LLMFashionRecDataset
from recbole_llmfashion.data.loaders import make_loaders, stage_root
from recbole_llmfashion.llm.generation.response_cache import ResponseCache
from recbole_llmfashion.pipeline.inference import Inference
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.pipeline.training import TrainedModels
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.memory import QueryProductMemory
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.retrieval.id_list import IdentityList, IdList
from recbole_llmfashion.retrieval.rankers import Rankers
from recbole_llmfashion.stage_store import StageStore

# The source's own run has no source, and a list that knows nothing but the generated ID has one position to give;
# mixup_m is no input of any stage.
ANSWERING = {"source_dataset": None, "zero_shot_target_log": False, "mixup_m": 1}


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
        self.trained = TrainedModels(config, texts, store)
        self.inference = Inference(config, texts, self.trained, store, dates=dataset.has_dates, remember=True)

    @property
    def llm(self) -> LanguageModel:
        """The LLM's side."""
        return self.trained.llm

    @property
    def memory(self) -> QueryProductMemory | None:
        """The query-product memory."""
        return self.inference.memory

    @property
    def builder(self) -> PromptBuilder:
        """Prompts in the backbone's ids."""
        return self.inference.builder

    @property
    def response_cache(self) -> ResponseCache:
        """Answers by prompt, as well as is known."""
        return self.inference.response_cache

    @property
    def report(self) -> dict[str, Any]:
        """What the stages measured so far."""
        return self.trained.report | self.inference.report

    @cached_property
    def core_table(self) -> np.ndarray:
        """[N, d] CORE's rows by catalogue position."""
        return np.asarray(self._make_core_table())

    @property
    def popularity(self) -> np.ndarray:
        """[N] what the last fallback ranks by."""
        return self.dataset.popularity()

    def lists(self) -> Rankers:
        """The two lists and the last fallback; no prompt has an answer before `learn` brings a book that has."""
        ids = IdList(self.core_table, self.inference.texts.tie, self.inference.near("items"))
        return self.inference.parts(ids, self.popularity, ids.sessions())

    def learn(self, train_data: LLMFashionRecDataLoader) -> Iterator[str]:
        """The LLM's stages, as TrainedModels.learn yields them; `response_cache` then answers as well as is known."""
        examples = self.inference.examples(train_data)
        for step in self.trained.learn(examples, self.inference.index, self.inference.builder.decoder):
            self.inference.reset_cache()
            yield step

    def answer(self, loader: LLMFashionRecDataLoader) -> None:
        """Prompts and responses for a loader's rows."""
        self.inference.answer(loader)


def answering_config(config: LLMFashionConfig) -> LLMFashionConfig:
    """The config of the LLM that answers: the run's own or, with `source_dataset`, that of the source's run.

    Raises:
        UserError: what source.source_config finds wrong.
    """
    return source_config(config, ANSWERING) if config["source_dataset"] else config


def make_pipeline(
    config: LLMFashionConfig, dataset: LLMFashionRecDataset, store: StageStore, core_table: Callable[[], Any]
) -> "Pipeline | ZeroShot":
    """The stages of a run, as Pipeline takes its arguments; a zero-shot run asks for no table of CORE."""
    if config["source_dataset"]:
        return ZeroShot(config, dataset, store)
    return Pipeline(config, dataset, store, core_table)


class ZeroShot:
    """The source's learned half with the target's asked half; what a trainer may ask of a Pipeline, it may ask here.

    Args:
        config: of the run on the target.
        dataset: the target.
        store: where the target's stages lie; the source's lie where its own run has them.

    Attributes:
        config: of the source's run, by which prompts are written and lists are joined.
    """

    validates = False  # the target's validation rows are a part of its log
    core_table: np.ndarray | None = None  # no ID model knows the target

    def __init__(self, config: LLMFashionConfig, dataset: LLMFashionRecDataset, store: StageStore) -> None:
        self.config, self._dataset = answering_config(config), dataset
        self._target_log = bool(config["zero_shot_target_log"])
        self._tuned = bool(config["use_tuned"]) and tuned_file(self.config["dataset"], config["model"]) is not None
        rows = make_loaders(self.config)
        source_store = StageStore(stage_root(self.config), store.on_stage)
        self._source = Pipeline(self.config, rows.dataset, source_store, no_core)
        self._rows = LLMFashionRecDataLoader(self.config, rows.train._dataset, rows.train._sampler, training=True)
        self.inference = Inference(
            self.config,
            DatasetTexts(dataset),
            self._source.trained,
            store,
            dates=dataset.has_dates and rows.dataset.has_dates,
            remember=self._target_log,
        )

    @property
    def response_cache(self) -> ResponseCache:
        """Answers by prompt."""
        return self.inference.response_cache

    @property
    def report(self) -> dict[str, Any]:
        """What the source's stages measured, and what asking the target measured."""
        report = self._source.report
        taught = {key: f"{report[key]} ({self.config['dataset']})" for key in ("clip", "title_pairs") if key in report}
        return report | taught | self.inference.report

    @property
    def details(self) -> dict[str, Any]:
        """That the row is zero-shot, and what stands where an ordinary row has the target's own."""
        return {
            "zero_shot": {
                "source_dataset": self.config["dataset"],
                "tuned": self._tuned,
                "zero_shot_target_log": self._target_log,
                "memory": self.inference.memory is not None,
                "id_list": "the generated ID itself",
                "mixup_m": self.config["mixup_m"],
                "last_fallback": "popularity" if self._target_log else "a fixed order",
            }
        }

    def lists(self) -> Rankers:
        """The generated ID alone, the target's titles by the source's title model, and the last fallback."""
        return self.inference.parts(IdentityList(self.inference.texts.tie), self.popularity)

    @property
    def popularity(self) -> np.ndarray:
        """[N] what the last fallback ranks by; all 0 where the target's log is not to be known."""
        counts = self._dataset.popularity()
        return counts if self._target_log else np.zeros_like(counts)

    def learn(self, train_data: LLMFashionRecDataLoader) -> Iterator[str]:
        """The source's stages on the source's rows; the target's are left alone. `adapter` is yielded once."""
        *_, last = self._source.learn(self._rows)
        self.inference.reset_cache()
        yield last

    def answer(self, loader: LLMFashionRecDataLoader) -> None:
        """Prompts and responses for a loader's rows of the target."""
        self.inference.answer(loader)
