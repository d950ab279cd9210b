"""The method's stages joined (paper, Figure 2): models that train on one dataset, and inference on the same or another.

    one dataset:   TrainedModels and Inference of the dataset, the ID model's item embeddings as the ID list
    zero-shot:     TrainedModels of `source_dataset`, Inference of the target, whose rows train nothing (docs/method.md)

The stages of a zero-shot run that train are those that the source's own run makes or has made.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig, source_config
from recbole_llmfashion.config.layers import tuned_file
from recbole_llmfashion.data.dataset import LLMFashionRecDataset
from recbole_llmfashion.data.images import item_images
from recbole_llmfashion.data.loaders import make_loaders, rows_of, sampler_of, stage_root
from recbole_llmfashion.pipeline.finetuning_rows import training_examples, validation_rows
from recbole_llmfashion.pipeline.inference import Inference
from recbole_llmfashion.pipeline.training import TrainedModels
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader, check_responses
from recbole_llmfashion.prompt.memory import QueryProductMemory
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.retrieval.lists.common_users import CommonUsers
from recbole_llmfashion.retrieval.lists.id_model import IdModel
from recbole_llmfashion.retrieval.lists.image_list import ImageList
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
from recbole_llmfashion.retrieval.lists.word_list import WordList
from recbole_llmfashion.retrieval.rankers import Rankers
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.tracking import Track, no_track

# Keys of the source's own run. Its ID list holds the generated ID alone, so mixup takes one position from it.
SOURCE_KEYS = {"source_dataset": None, "zero_shot_target_log": False, "mixup_m": 1}


class Pipeline:
    """The stages of one run.

    Args:
        inference: on the dataset whose rows are ranked, by the models that train.
        id_model: trains the ID model, or loads it; None in zero-shot, where no ID model has seen the items.
        popularity: [N] counts that the last fallback ranks by.
        knn_history: number of a user's newest items that the neighbors', the word and the image list read; None for no
            such lists.
        source: in zero-shot, inference on the dataset that trains, and its training and validation rows.
        details: what the result says of the run beside `report`.

    Attributes:
        config: by which prompts are written and lists are joined; in zero-shot the source's.
        validates: whether validation rows may be read; in zero-shot they are a part of the target's log.
    """

    def __init__(
        self,
        inference: Inference,
        *,
        id_model: Callable[[], IdModel] | None,
        popularity: np.ndarray,
        knn_history: int | None = None,
        source: tuple[Inference, LLMFashionRecDataLoader, LLMFashionRecDataLoader] | None = None,
        details: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.inference, self.popularity = inference, popularity
        self.config, self.trained = inference.config, inference.trained
        self.validates = source is None
        self.knn_history = knn_history if self.config["ranking"] == "fusion" else None
        self._id_model, self._source, self._details = id_model, source, details

    @property
    def memory(self) -> QueryProductMemory | None:
        """The query-product memory."""
        return self.inference.memory

    @property
    def details(self) -> Mapping[str, Any]:
        """What the result says of the run beside `report`."""
        return self._details()

    @property
    def report(self) -> dict[str, Any]:
        """What the stages measured so far; in zero-shot with the source's name."""
        report = dict(self.trained.report)
        if self._source is not None:
            report |= self._source[0].report
            name = self.config["dataset"]
            report |= {key: f"{report[key]} ({name})" for key in ("clip", "title_pairs") if key in report}
        return report | self.inference.report

    @cached_property
    def id_model(self) -> IdModel | None:
        """The ID model, by the key `session_model`; None in zero-shot."""
        return None if self._id_model is None else self._id_model()

    @cached_property
    def common_users(self) -> CommonUsers | None:
        """What the neighbors' list is made of; None without that list."""
        if self.knn_history is None:
            return None
        rows = self.inference.texts.dataset.training_actions
        counts = CommonUsers.count(rows["user"].to_numpy(), rows["item"].to_numpy(), len(self.popularity))
        self.inference.report["users_cut_in_neighbors"] = counts.cut
        return counts.at_least(self.config["min_askers"])

    @cached_property
    def image_vectors(self) -> np.ndarray | None:
        """[N, d] float32 of the items' pictures, zeros without one; None where the fusion has no image list."""
        if self.knn_history is None or not self.config["image_list"]:
            return None
        images = item_images(Path(self.config["data_path"]), self.config["dataset"])
        if images is None:
            return None
        vectors = images.vectors(self.inference.texts.catalogue.item_ids)
        without = "; pixels alone, no CLIP model" if images.source == "pixels" else ""
        getLogger(__name__).info(
            f"image list: pictures of {int(vectors.any(axis=1).sum()):,} of {len(vectors):,} items, vectors of "
            f"{images.source}{without}"
        )
        return vectors

    def read_images(self) -> None:
        """Reads the vectors of the pictures, so that a damaged file stops the run before hours of training.

        Raises:
            UserError: the file cannot be used.
        """
        _ = self.image_vectors

    @cached_property
    def rankers(self) -> Rankers:
        """The rankers of the ranked dataset's items."""
        neighbors = words = images = None
        if self.common_users is not None and self.knn_history is not None:
            tie = self.inference.texts.tie
            neighbors = NeighborList(self.common_users.cosines(), tie, self.knn_history)
            words = WordList(self.inference.item_texts, tie, self.knn_history)
            if self.image_vectors is not None:
                images = ImageList(self.image_vectors, tie, self.knn_history)
        return self.inference.rankers(self.id_model, self.popularity, neighbors, words, images)

    def train(self, train_data: LLMFashionRecDataLoader, valid_data: LLMFashionRecDataLoader | None) -> Iterator[str]:
        """The LLM's stages, as TrainedModels.train yields them; responses then come from the model of that moment.

        Args:
            train_data: training rows of the ranked dataset; not read in zero-shot.
            valid_data: its validation rows, for early stopping; not read in zero-shot.
        """
        inference, train, valid = self._source or (self.inference, train_data, valid_data)
        examples, validation = training_examples(inference, train), validation_rows(inference, valid)
        for step in self.trained.train(examples, inference.item_tokens, inference.builder.decoder, validation):
            self.inference.reset_cache()
            yield step

    def answer(self, loader: LLMFashionRecDataLoader) -> None:
        """Prompts and responses for a loader's rows of the ranked dataset."""
        self.inference.answer(loader)


def llm_config(config: LLMFashionConfig) -> LLMFashionConfig:
    """The config of the LLM that answers: the run's own or, with `source_dataset`, that of the source's run.

    Raises:
        UserError: what `source_config` finds wrong.
    """
    return source_config(config, SOURCE_KEYS) if config["source_dataset"] else config


def make_pipeline(
    config: LLMFashionConfig,
    dataset: LLMFashionRecDataset,
    store: StageStore,
    id_model: Callable[[], Any],
    knn_history: int | None = None,
    track: Track = no_track,
) -> Pipeline:
    """The stages of a run.

    Args:
        config: of LLMFashionRec.
        dataset: the whole dataset whose rows are ranked.
        store: keeps the stages of that dataset.
        id_model: see Pipeline; not called in zero-shot.
        knn_history: see Pipeline; zero-shot has no neighbors' list.
        track: gets the numbers of the LLM's fine-tuning.
    """
    if config["source_dataset"]:
        return _zero_shot(config, dataset, store, track)
    return own_pipeline(config, dataset, store, id_model, knn_history, track)


def own_pipeline(
    config: LLMFashionConfig,
    dataset: LLMFashionRecDataset,
    store: StageStore,
    id_model: Callable[[], Any],
    knn_history: int | None = None,
    track: Track = no_track,
) -> Pipeline:
    """The stages of a run whose models train on the ranked dataset; arguments as for `make_pipeline`."""
    texts = DatasetTexts(dataset)
    trained = TrainedModels(config, texts, store, track)
    inference = Inference(config, texts, trained, store, dates=dataset.has_dates, remember=True)
    return Pipeline(inference, id_model=id_model, popularity=dataset.popularity(), knn_history=knn_history)


def _zero_shot(config: LLMFashionConfig, target: LLMFashionRecDataset, store: StageStore, track: Track) -> Pipeline:
    source, target_log = llm_config(config), bool(config["zero_shot_target_log"])
    loaders = make_loaders(source)
    source_store = StageStore(stage_root(source), store.on_stage)
    source_texts = DatasetTexts(loaders.dataset)
    trained = TrainedModels(source, source_texts, source_store, track)
    source_inference = Inference(
        source, source_texts, trained, source_store, dates=loaders.dataset.has_dates, remember=True
    )
    if source["response_events"] == "purchase":
        check_responses(loaders.train)
    train = LLMFashionRecDataLoader(source, rows_of(loaders.train), sampler_of(loaders.train), training=True)
    valid = LLMFashionRecDataLoader(source, rows_of(loaders.valid), sampler_of(loaders.valid))
    dates = target.has_dates and loaders.dataset.has_dates
    inference = Inference(source, DatasetTexts(target), trained, store, dates=dates, remember=target_log)
    counts = target.popularity()

    def details() -> Mapping[str, Any]:
        tuned = bool(config["use_tuned"]) and tuned_file(source["dataset"], config["model"]) is not None
        about = {
            "source_dataset": source["dataset"],
            "tuned": tuned,
            "target_log": target_log,
            "memory": inference.memory is not None,
            "id_list": "the generated ID itself",
            "mixup_m": source["mixup_m"],
            "last_fallback": "popularity" if target_log else "a fixed order",
        }
        return {"zero_shot": about}

    return Pipeline(
        inference,
        id_model=None,
        popularity=counts if target_log else np.zeros_like(counts),
        source=(source_inference, train, valid),
        details=details,
    )
