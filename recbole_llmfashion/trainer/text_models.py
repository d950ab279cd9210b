"""The trainers of TextSASRec and TextKNN, which read the items' titles by the encoder of the key `text_encoder`.

With `clip`, the default, the vectors are those of the CLIP tower that the memory of the LLMFashionRec row of the same
run has, by that row's keys.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import Loaders
from recbole_llmfashion.embedding.sentence.encoder import load_encoder
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.text_knn import TextKNN
from recbole_llmfashion.model.text_sasrec import TextSASRec
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.training import CLIP, TrainedModels
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.recbole_models import RecBoleTrainer
from recbole_llmfashion.trainer.staged import StagedTrainer


def _validate(config: LLMFashionConfig) -> None:
    if config["text_encoder"] == CLIP:
        settings.validate_clip(config.sibling(LLMFashionRec))
    else:
        load_encoder(str(config["text_encoder"]), "text_encoder")


def _vectors(config: LLMFashionConfig, loaders: Loaders, store: StageStore) -> tuple[np.ndarray, str]:
    """[N, d] vectors of the titles, and the origin of their encoder."""
    models = TrainedModels(config.sibling(LLMFashionRec), DatasetTexts(loaders.dataset), store)
    return models.text_vectors(str(config["text_encoder"])), models.report["text_encoder"]


class TextSASRecTrainer(RecBoleTrainer):
    """RecBole's Trainer for a model that reads vectors of texts."""

    model: TextSASRec

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """See StagedTrainer."""
        RecBoleTrainer.validate_config(config)
        _validate(config)

    def set_data(self, loaders: Loaders, store: StageStore, id_model: Callable[[], Any]) -> None:
        """Encodes the titles, or loads their vectors."""
        self.vectors, self._source = _vectors(self.config, loaders, store)
        self.model.attach(self.vectors)
        self.model.to(self.device)
        super().set_data(loaders, store, id_model)

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """The origin of the encoder."""
        return {"text_encoder": self._source}


class TextKNNTrainer(StagedTrainer):
    """The trainer interface for TextKNN."""

    model: TextKNN

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """See StagedTrainer."""
        StagedTrainer.validate_config(config)
        _validate(config)

    def set_data(self, loaders: Loaders, store: StageStore, id_model: Callable[[], Any]) -> None:
        """Encodes the titles, or loads their vectors."""
        super().set_data(loaders, store, id_model)
        vectors, self._source = _vectors(self.config, loaders, store)
        self.model.attach(vectors)

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """The origin of the encoder."""
        return {"text_encoder": self._source}
