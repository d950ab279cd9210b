"""One optimizer step of a fine-tuning: loss, gradients over workers, and the update."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.finetuning.step.data_parallel import Workers
    from recbole_llmfashion.llm.finetuning.step.optimizer import NotFiniteError, Optimizer
    from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
else:
    __getattr__ = lazy_names(
        __name__, {"data_parallel": "Workers", "optimizer": "NotFiniteError Optimizer", "train_step": "TrainStep"}
    )

__all__ = ["NotFiniteError", "Optimizer", "TrainStep", "Workers"]
