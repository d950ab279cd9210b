"""QLoRA fine-tuning with a perplexity curriculum (paper, section 4.3)."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.finetuning.curriculum import CurriculumRun
    from recbole_llmfashion.llm.finetuning.job import BackboneSpec, FinetuneJob
    from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings
    from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "curriculum": "CurriculumRun",
            "job": "BackboneSpec FinetuneJob",
            "settings": "FinetuneLog FinetuneSettings",
            "step.train_step": "TrainStep",
        },
    )

__all__ = ["BackboneSpec", "CurriculumRun", "FinetuneJob", "FinetuneLog", "FinetuneSettings", "TrainStep"]
