"""Inference on one dataset: its memory, prompts, rankers and responses.

The models were trained on this dataset or on another one (pipeline.py).

Of this module, `responses` and the approximate indexes (`index_title`, `index_items`, `index_clip`,
`index_sentences`) are stages, and `sentences`, the vectors of texts by a sentence encoder.
"""

from collections.abc import Sequence
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.embedding import approximate_index
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.embedding.sentence.vectors import KnownVectors, staged_vectors
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.response_cache import ResponseCache
from recbole_llmfashion.llm.modeling.backbone import check_spelling
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.training import TrainedModels
from recbole_llmfashion.prompt.builder import PromptBuilder, make_builder
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.item_tokens import ItemTokens, atomic_tokens, item_words, semantic_tokens
from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory, make_memory
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.prompt.texts import TEXT_LIMIT, DatasetTexts, is_long, item_texts
from recbole_llmfashion.retrieval.lists.cosine_table import Near, Search
from recbole_llmfashion.retrieval.lists.id_model import IdModel
from recbole_llmfashion.retrieval.lists.image_list import ImageList
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
from recbole_llmfashion.retrieval.lists.title_list import TitleList
from recbole_llmfashion.retrieval.lists.word_list import WordList
from recbole_llmfashion.retrieval.rankers import Encode, Encoders, ItemVectors, Rankers, make_rankers
from recbole_llmfashion.stage_store import StageStore, sha256_arrays, sha256_texts, stage_seed


def _empty_responses(prompts: Sequence[np.ndarray]) -> list[Response]:
    """An empty response to each prompt, which ranks the fallback: the memory's products, then popularity."""
    return [Response("")] * len(prompts)


class Inference:
    """Prompts and ranked lists of one dataset.

    Args:
        config: of the run that trained `trained`; the LLM reads the prompt template that it was trained with.
        texts: of the dataset whose rows are answered.
        trained: the text models and the LLM.
        store: the stages of that dataset.
        dates: whether timestamps are dates, both in that dataset and in the one that trained the models.
        remember: whether the dataset's training log feeds the memory.

    Attributes:
        response_cache: responses by prompt; all empty until the LLM has a backbone to answer with.
        report: what inference measured, for the details of the result.
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
        self.response_cache = ResponseCache(_empty_responses)
        self._answered: list[LLMFashionRecDataLoader] = []
        self.report: dict[str, Any] = {}
        self.indexes: dict[str, Path] = {}

    @cached_property
    def memory(self) -> QueryProductMemory | None:
        """The query-product memory over the training log; None where there is nothing to remember."""
        if not self._remember or not self.config["memory_products"] or not len((log := self.memory_log()).search):
            return None
        memory = make_memory(
            log,
            self.texts.queries,
            self._memory_encode(),
            neighbors=self.config["memory_neighbors"],
            products=max(self.config["memory_products"], self.config["memory_list_size"]),
            tie_rank=self.texts.tie,
        )
        if memory is not None:
            memory.prepare(self.texts.queries)
        return memory

    def _memory_encode(self) -> Encode | None:
        """Queries to unit vectors; None without an encoder. A sentence encoder reads all queries in one stage."""
        if self.trained.sentences is not None:
            return self._known_vectors(sorted({normalize_text(query) for query in self.texts.queries}))
        return None if self.trained.clip is None else self.trained.clip.encode

    def _known_vectors(self, texts: Sequence[str]) -> KnownVectors:
        """Texts to vectors of the sentence encoder, with these texts as a stage."""
        encoder = self.trained.sentences
        assert encoder is not None
        vectors = staged_vectors(encoder, texts, self.store, self.trained.show_progress)
        return KnownVectors(encoder.encode, texts, vectors)

    @cached_property
    def titles_encode(self) -> KnownVectors | None:
        """Titles to vectors of the sentence encoder; None without one."""
        return None if self.trained.sentences is None else self._known_vectors(self.texts.titles)

    def memory_log(self, searched: MemoryLog | None = None) -> MemoryLog:
        """The products of the training searches whose query has `min_askers` users or more.

        Args:
            searched: what `searched_products` returned, where it is known.
        """
        log, least = self.searched_products() if searched is None else searched, self.config["min_askers"]
        return log if least <= 1 else log.only(self.askers(log) >= least)

    def askers(self, log: MemoryLog) -> np.ndarray:
        """[n] for each row of a memory log, the number of users who searched for its query."""
        return log.askers(self.texts.queries, self.texts.log.users)

    def searched_products(self) -> MemoryLog:
        """The products that training searches showed or, where the log has no results, led to."""
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
        """Writes prompts in the backbone's token ids."""
        tokenizer, texts, memory = self.trained.llm.tokenizer, self.texts, self.memory
        prompt = settings.prompt_settings(self.config, self._dates)
        builder = make_builder(tokenizer, self.config["prompt_template"], texts.catalogue, prompt, self.item_tokens)
        if self.item_tokens is None:
            check_spelling(tokenizer, builder.item_names, builder.item_ids)
        shortened = [is_long(query) for query in texts.log.queries]  # the texts have lost their ends already
        builder = builder.with_queries(texts.queries, texts.log.query_index, memory, shortened)
        queries, items = builder.shortened_texts
        if queries or items:
            getLogger(__name__).warning(
                f"prompts show only the start of {queries:,} of {len(texts.queries):,} queries and of the texts of "
                f"{items:,} of {len(texts.titles):,} items; a larger max_length shows more of them"
            )
        return builder

    @cached_property
    def item_tokens(self) -> ItemTokens | None:
        """The tokens that name the items to the LLM; None for their IDs as text."""
        kind, llm, texts = self.config["item_tokens"], self.trained.llm, self.texts
        if kind == "text":
            return None
        names = self.config["prompt_attributes"]
        self._warn_of_long_attributes(names)
        words = item_words(llm.tokenizer, texts.titles, texts.catalogue.attributes, names)
        if kind == "atomic":
            # another catalogue may use the same ids for other items
            key = sha256_texts([*texts.catalogue.item_ids, sha256_arrays(*words)])
            return atomic_tokens(texts.tie, llm.vocab_size, words, key)
        codes = self.trained.codes.encode(self.title_matrix)
        return semantic_tokens(codes, texts.tie, llm.vocab_size, words, self.trained.codes_key)

    def _warn_of_long_attributes(self, names: Sequence[str]) -> None:
        """Logs of how many items the tokens begin as a part of the attributes."""
        cells = zip(*(self.texts.catalogue.attributes[name] for name in names), strict=True)
        long = sum(any(map(is_long, row)) for row in cells)
        if long:
            getLogger(__name__).warning(
                f"item tokens begin as the first {TEXT_LIMIT} characters of an attribute in {long:,} of "
                f"{len(self.texts.titles):,} items"
            )

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
        """The index of a table by the key `ann_index`, as a stage; `indexes` names its folder once it is built."""
        kind = self.config["ann_index"]

        def search(vectors: np.ndarray) -> Search | None:
            if not approximate_index.pays_off(vectors, kind):
                return None
            inputs = {"kind": kind, "vectors": sha256_arrays(vectors), "chosen": approximate_index.CHOSEN}
            folder = self.store.get(
                f"index_{name}", inputs, lambda folder: approximate_index.build(vectors, kind, folder, name)
            )
            self.indexes[name] = folder
            return approximate_index.load(vectors, kind, folder, name)

        return search

    def rankers(
        self,
        id_model: IdModel | None,
        popularity: np.ndarray,
        neighbors: NeighborList | None = None,
        words: WordList | None = None,
        images: ImageList | None = None,
    ) -> Rankers:
        """The rankers of the dataset's items.

        Args:
            id_model: None where no ID model has seen these items.
            popularity: [N] counts of the last fallback.
            neighbors: the neighbors' list of these items.
            words: the word list of these items.
            images: the image list of these items.
        """
        names, clip = self.builder.item_names, self.trained.clip if self.config["ranking"] == "clip" else None
        if clip is None and self.config["ranking"] == "clip":
            raise UserError(
                "ranking: clip needs a text tower, and the training log has no queries to train one on; set "
                "clip_pretrained, or another ranking"
            )
        table, encoder = (None, None) if id_model is None else (id_model.table, id_model.encoder)
        titles, encode_sentences = self.texts.titles, self.titles_encode if self.config["ranking"] == "fusion" else None
        vectors = ItemVectors(
            self.title_matrix,
            table,
            None if clip is None else clip.encode(titles),
            None if encode_sentences is None else encode_sentences(titles),
        )
        encoders = Encoders(self.trained.title_model.encode, None if clip is None else clip.encode, encode_sentences)
        lists = neighbors, encoder, words, images
        return make_rankers(names, vectors, encoders, popularity, self.texts.tie, self.near, *lists)

    @property
    def item_texts(self) -> list[str]:
        """Title and the attributes of prompts, by catalogue position."""
        return item_texts(self.texts.titles, self.texts.dataset.catalogue.attributes, self.builder.settings.attributes)

    def reset_cache(self) -> None:
        """Drops the responses, after the LLM has changed."""
        self.response_cache = ResponseCache(self._generate if self.trained.llm.identity else _empty_responses)
        self._answered.clear()

    def _generate(self, prompts: Sequence[np.ndarray]) -> list[Response]:
        return self.trained.llm.generate(prompts, self.builder, self.texts.titles)

    def answer(self, loader: LLMFashionRecDataLoader) -> None:
        """Encodes a loader's rows and generates their responses, or loads them from their stage."""
        loader.set_builder(self.builder)
        llm = self.trained.llm
        if not llm.identity or any(other is loader for other in self._answered):
            return
        self._answered.append(loader)
        rows = loader.encode()
        prompts = [row.prompt.ids for row in rows]
        self.report["prompts_truncated"] = sum(row.prompt.dropped > 0 for row in rows)
        self.report["prompts_with_shortened_texts"] = sum(row.prompt.shortened > 0 for row in rows)
        decoding = settings.decoding_settings(self.config, stage_seed(self.config["seed"], "responses"))
        tokens = self.item_tokens
        inputs = {
            "adapter": llm.identity,
            "decoding": decoding.stage_inputs(),
            "prompts": sha256_arrays(*prompts),
            "ids": sha256_texts(self.builder.item_names),
            "index": None if tokens is None else [tokens.key, sha256_arrays(*tokens.words)],
            "beams": self.config["num_beams"],
        }
        if decoding.response_title == "catalogue":
            inputs["titles"] = sha256_texts(self.texts.titles)
        folder = self.store.get("responses", inputs, lambda folder: self.response_cache.write(prompts, folder))
        self.response_cache.load(folder, self.builder.position_of if decoding.decoding == "constrained" else None)
