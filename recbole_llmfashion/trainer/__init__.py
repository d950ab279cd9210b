"""RecBole trainers, one per kind of model."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.trainer.cold_token import ColdTokenTrainer
    from recbole_llmfashion.trainer.fusion import FusionTrainer
    from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
    from recbole_llmfashion.trainer.query_memory import QueryMemoryTrainer
    from recbole_llmfashion.trainer.recbole_models import RecBoleTrainer
    from recbole_llmfashion.trainer.recformer import RecformerTrainer
    from recbole_llmfashion.trainer.staged import StagedTrainer
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "cold_token": "ColdTokenTrainer",
            "fusion": "FusionTrainer",
            "llmfashionrec": "LLMFashionRecTrainer",
            "query_memory": "QueryMemoryTrainer",
            "recbole_models": "RecBoleTrainer",
            "recformer": "RecformerTrainer",
            "staged": "StagedTrainer",
        },
    )

__all__ = [
    "ColdTokenTrainer",
    "FusionTrainer",
    "LLMFashionRecTrainer",
    "QueryMemoryTrainer",
    "RecBoleTrainer",
    "RecformerTrainer",
    "StagedTrainer",
]
