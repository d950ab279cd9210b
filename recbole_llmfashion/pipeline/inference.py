"""What one dataset is asked with: its memory, its prompts, its lists and the responses, by models learned elsewhere.

Only `responses` is a stage of this half. It trains nothing and does not know whether what it asks with was learned on
the same dataset (pipeline.py) or on another one (zero_shot.py).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.embedding import approximate_index as near
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.generation.response_cache import ResponseCache
from recbole_llmfashion.llm.modeling.backbone import check_spelling
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.training import TrainedModels
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.item_tokens import ItemTokens, atomic_tokens, item_words, semantic_tokens
from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.prompt.template import get_template
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.retrieval.cosine_table import Near, Search
from recbole_llmfashion.retrieval.id_list import IdentityList
from recbole_llmfashion.retrieval.rankers import FUSED_DEPTH, Ranker, Rankers
from recbole_llmfashion.retrieval.title_list import TitleList
from recbole_llmfashion.stage_store import StageStore, sha256_arrays, sha256_texts, stage_seed


def _silent(prompts: Sequence[np.ndarray]) -> list[Response]:
    """No answer to any prompt: what is ranked then is the fallback, the memory's products and popularity."""
    return [Response("")] * len(prompts)


class Inference:
    """One dataset's questions and what becomes of their answers.

    Args:
        config: of the run that taught `trained`; an LLM is asked in the template it was trained on.
        texts: of the dataset that is asked.
        trained: the text models and the LLM that answer.
        store: where the dataset's stages lie.
        dates: whether timestamps are dates to those who ask and to those who answer.
        remember: whether the dataset's training log feeds the memory.

    Attributes:
        book: answers prompts; no prompt has an answer before the engine knows what to answer with.
        report: what asking measured.
        indexes: folders of the approximate indexes in use, by table.
    """

    def __init__(
        self,
        config: LLMFashionConfig,
        texts: DatasetTexts,
        trained: TrainedModels,
        store: StageStore,
        *,
        dates: bool,
        remember: bool,
    ) -> None:
        self.config, self.texts, self.trained, self.store = config, texts, trained, store
        self._dates, self._remember = dates, remember
        self.response_cache = ResponseCache(_silent)
        self._answered: list[LLMFashionRecDataLoader] = []
        self.report: dict[str, Any] = {}
        self.indexes: dict[str, Path] = {}

    @cached_property
    def memory(self) -> QueryProductMemory | None:
        """The query-product memory over the training log; None where there is nothing to remember."""
        if not self._remember:
            return None
        log = self.memory_log()
        if not len(log.search) or self.trained.clip is None or not self.config["memory_products"]:
            return None
        memory = QueryProductMemory(
            log,
            self.texts.queries,
            self.trained.clip.encode,
            neighbors=self.config["memory_neighbors"],
            products=max(self.config["memory_products"], self.config["memory_list_size"]),
            tie_rank=self.texts.tie,
        )
        memory.prepare(self.texts.queries)
        return memory

    def memory_log(self) -> MemoryLog:
        """What the training searches showed or, where the log has no results, led to."""
        log = self.texts.log
        training = np.flatnonzero(log.training)
        counts = np.diff(log.result_ptr)[training]
        if counts.sum():
            search = np.repeat(training, counts)
            first = log.result_ptr[search]
            position = np.arange(len(search)) - np.repeat(np.cumsum(counts) - counts, counts)
            return MemoryLog(search, log.query_index[search], log.result_items[first + position], position)
        rows = self.texts.dataset.training_actions
        rows = rows[(rows["search"] >= 0) & np.isin(rows["search"], training)]
        search, item = rows["search"].to_numpy(), rows["item"].to_numpy()
        return MemoryLog(search, log.query_index[search], item, np.zeros(len(rows), np.int64))

    @cached_property
    def builder(self) -> PromptBuilder:
        """Prompts in the backbone's ids."""
        builder = PromptBuilder(
            self.trained.llm.tokenizer,
            get_template(self.config["prompt_template"]),
            self.texts.catalogue,
            self.texts.queries,
            self.texts.log.query_index,
            self.memory,
            settings.prompt_settings(self.config, self._dates),
            self.index,
        )
        if self.index is None:
            check_spelling(self.trained.llm.tokenizer, builder.item_names, builder.item_ids)
        return builder

    @cached_property
    def index(self) -> ItemTokens | None:
        """What names the items; None for their IDs as text."""
        kind, llm, texts = self.config["item_tokens"], self.trained.llm, self.texts
        if kind == "text":
            return None
        words = item_words(llm.tokenizer, texts.titles, texts.catalogue.attributes, self.config["prompt_attributes"])
        if kind == "atomic":
            # another catalogue may use the same ids for other items
            key = sha256_texts([*texts.catalogue.item_ids, sha256_arrays(*words)])
            return atomic_tokens(texts.tie, llm.vocab_size, words, key)
        codes = self.trained.codes.encode(self.title_matrix)
        return semantic_tokens(codes, texts.tie, llm.vocab_size, words, self.trained.codes_key)

    def examples(self, train_data: LLMFashionRecDataLoader) -> list[Example]:
        """Training prompts with their responses; with loss_on_history as many as it takes to show every action."""
        train_data.builder = self.builder
        every = self.config["loss_on_history"]
        return [
            Example(prompt.ids, self.builder.response(target), prompt.id_positions if every else None)
            for prompt, target in train_data.training_prompts(self.config["prompts_per_user"], every)
        ]

    @cached_property
    def title_matrix(self) -> np.ndarray:
        """[N, d] float32, the titles' embeddings by catalogue position."""
        trained = self.trained
        if self.texts is trained.texts:
            return trained.title_matrix
        return trained.title_model.encode(self.texts.titles, show_progress=trained.show_progress)

    def title_list(self) -> TitleList:
        """The title list by the title model."""
        return TitleList(self.title_matrix, self.trained.title_model.encode, self.texts.tie, self.near("title"))

    def near(self, name: str) -> Near:
        """What searches a table's vectors by the key `index`, from its stage; `indexes` then names its folder."""
        kind = self.config["ann_index"]

        def search(vectors: np.ndarray) -> Search | None:
            if not near.pays_off(vectors, kind):
                return None
            inputs = {"kind": kind, "vectors": sha256_arrays(vectors), "chosen": near.CHOSEN}
            folder = self.store.get(f"index_{name}", inputs, lambda folder: near.build(vectors, kind, folder, name))
            self.indexes[name] = folder
            return near.load(vectors, kind, folder, name)

        return search

    def parts(self, id_list: Ranker, popularity: np.ndarray, session_list: Ranker | None = None) -> Rankers:
        """The lists and the last fallback.

        Args:
            id_list: ranks the catalogue for an ID.
            session_list: ranks it for what a customer did; None where no table knows the items.
            popularity: [N] what the last fallback ranks by, ties by the fixed order.
        """
        return Rankers(
            answer=self.response_cache,
            position_of={token: i for i, token in enumerate(self.builder.item_names)},
            id_list=id_list,
            title_list=self.title_list(),
            popularity=popularity,
            session_list=session_list,
            id_depth=1 if isinstance(id_list, IdentityList) else FUSED_DEPTH,
            clip_list=self._clip_list() if self.config["ranking"] == "clip" else None,
        )

    def _clip_list(self) -> TitleList:
        """The title list by the CLIP tower (the paper's ablation 5)."""
        clip = self.trained.clip
        if clip is None:
            raise UserError(
                "ranking: clip wants a text tower, and the training log has no queries to train one on; set "
                "clip_pretrained, or another ranking"
            )
        return TitleList(clip.encode(self.texts.titles), clip.encode, self.texts.tie, self.near("clip"))

    def reset_cache(self) -> None:
        """Forgets the answers of an engine that has learned since."""
        self.response_cache = ResponseCache(self._generate if self.trained.llm.identity else _silent)
        self._answered.clear()

    def _generate(self, prompts: Sequence[np.ndarray]) -> list[Response]:
        builder, titles = self.builder, self.texts.titles
        prefix = builder.id_prefix.tolist()
        return self.trained.llm.generate(prompts, builder.allowed_ids, prefix, titles, self.index, builder.decoder)

    def answer(self, loader: LLMFashionRecDataLoader) -> None:
        """Prompts and responses for a loader's rows: generated once, then found in the store."""
        loader.builder = self.builder
        llm = self.trained.llm
        if not llm.identity or any(known is loader for known in self._answered):
            return
        self._answered.append(loader)
        prompts, truncated = [], 0
        for prompt, _ in loader.prompts(np.arange(len(loader._dataset))):
            prompts.append(prompt.ids)
            truncated += prompt.dropped > 0
        self.report["prompts_truncated"] = truncated
        seed = stage_seed(self.config["seed"], "responses")
        inputs = {
            "adapter": llm.identity,
            "decoding": settings.decoding_settings(self.config, seed).stage_inputs(),
            "prompts": sha256_arrays(*prompts),
            "ids": sha256_texts(self.builder.item_names),
            "index": None if self.index is None else [self.index.key, sha256_arrays(*self.index.words)],
            "beams": self.config["num_beams"],
        }
        if self.config["response_title"] == "catalogue":
            inputs["titles"] = sha256_texts(self.texts.titles)
        folder = self.store.get("responses", inputs, lambda folder: self.response_cache.write(prompts, folder))
        self.response_cache.load(folder)
