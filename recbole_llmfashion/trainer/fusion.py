"""The trainer of Fusion: the stages of the LLMFashionRec row of the same run, but for the LLM's."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import Loaders
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.retrieval.ranking import FUSED, OF_RESPONSES, RankingSettings
from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
from recbole_llmfashion.trainer.staged import StagedTrainer


class FusionTrainer(LLMFashionRecTrainer):
    """Trains no adapter and generates nothing: prompts are written to know what they show, and get empty responses."""

    responds = False
    fused = tuple(name for name in FUSED if name not in OF_RESPONSES)

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """See StagedTrainer; prompts need the backbone's tokenizer."""
        StagedTrainer.validate_config(config)
        if config["source_dataset"]:
            raise UserError(
                "source_dataset: Fusion has no list in zero-shot, where no ID model and no neighbors know the items; "
                "leave Fusion out"
            )
        settings.validate_config(config)
        LanguageModel.validate_config(config)

    @staticmethod
    def validate_rows(config: LLMFashionConfig) -> None:
        """No row has to give a prompt."""

    def _train(self, train_data: Any, valid_data: Any) -> Iterator[str]:
        return iter(())

    def _settings_beside(self, eval_data: Any) -> dict[str, RankingSettings]:
        return {}

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """The weights and what they were chosen by."""
        return self._fusion_details()

    def save_run(self, runs: Path, about: Mapping[str, Any]) -> Path | None:
        """Nothing: a run without an LLM cannot be served."""
        return None
