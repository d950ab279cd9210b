"""The method's stages in order, each from the stage store where it is already there (paper, Figure 2).

    clip -> memory -> tokenizer -> prompts -> backbone -> adapter -> responses -> title model -> CORE -> mixup

`LLMFashionRecTrainer` is RecBole's Trainer with one hook filled: `fit` runs the stages, `evaluate` makes sure that the
rows it is given have their prompts and responses. What the stages do lives in pipeline.py; how a model is scored is
RecBole's.
"""

from collections.abc import Mapping
from logging import getLogger
from typing import Any

from recbole.trainer import Trainer

from recbole_llmfashion import settings
from recbole_llmfashion.config import LLMFashionConfig
from recbole_llmfashion.engine import Engine
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec, Ranking, Validity
from recbole_llmfashion.pipeline import Pipeline

MIXUP_REPORTED = (1, 2, 3)  # docs/method.md, stage 3: report these on validation


class FloorTrainer(Trainer):
    """RecBole's Trainer for models that learn nothing by gradient: `fit` is one validation."""

    @staticmethod
    def check(config: LLMFashionConfig) -> None:
        """Raises UserError on what can be known to be wrong before any model is trained."""

    def _build_optimizer(self, **kwargs: Any) -> None:
        return None

    def fit(self, train_data: Any, valid_data: Any = None, **kwargs: Any) -> tuple[float, Mapping[str, float]]:
        """Validates; (score, result), or (-1, {}) where there is no validation row."""
        self.eval_collector.data_collect(train_data)
        if valid_data is None or not len(valid_data._dataset):
            return -1.0, {}
        self.best_valid_score, self.best_valid_result = self._valid_epoch(valid_data)
        return self.best_valid_score, self.best_valid_result


class LLMFashionRecTrainer(FloorTrainer):
    """RecBole's Trainer for LLMFashionRec.

    Attributes:
        pipeline: the stages; set by the caller before `fit`.
        validation: metrics by mixup_m on the validation rows.
        report: what the stages measured.
    """

    pipeline: Pipeline
    model: LLMFashionRec

    @staticmethod
    def check(config: LLMFashionConfig) -> None:
        """Values without meaning, and a backbone that is not there, before hours of other stages."""
        settings.check(config)
        Engine.check(config)

    def fit(self, train_data: Any, valid_data: Any = None, **kwargs: Any) -> tuple[float, Mapping[str, float]]:
        """Runs every stage, then validates, mixup_m = 1, 2, 3 included."""
        self.model.parts = self.pipeline.run(train_data, valid_data)
        self.validation: dict[str, dict[str, float]] = {}
        score, result = super().fit(train_data, valid_data)
        if result:
            self.validation = self._validate_mixup(valid_data)
        return score, result

    def _validate_mixup(self, valid_data: Any) -> dict[str, dict[str, float]]:
        chosen = self.model.mixup_m
        table = {}
        for m in MIXUP_REPORTED:
            self.model.mixup_m = m
            table[str(m)] = {name: float(value) for name, value in self._valid_epoch(valid_data)[1].items()}
            getLogger(__name__).info(f"validation with mixup_m {m}: {table[str(m)]}")
        self.model.mixup_m = chosen
        return table

    def evaluate(self, eval_data: Any, load_best_model: bool = False, **kwargs: Any) -> Mapping[str, float]:
        """RecBole's evaluation of the current `ranking`; prompts and responses come from their stage."""
        self.pipeline.answer(eval_data)
        self.model.validity = Validity()
        return super().evaluate(eval_data, load_best_model=False, **kwargs)

    def evaluate_list(self, eval_data: Any, ranking: Ranking) -> Mapping[str, float]:
        """RecBole's evaluation of one list alone."""
        self.model.ranking = ranking
        try:
            return self.evaluate(eval_data)
        finally:
            self.model.ranking = "mixup"
