"""StagedTrainer: the base of every trainer of this package."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recbole.trainer import Trainer

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import Loaders
from recbole_llmfashion.pipeline.training import STEPS
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.cold_token import check_cold_token
from recbole_llmfashion.trainer.recbole_models import ValidCallback

REPORTED = (
    *STEPS,
    "valid",
)  # what `fit` reports after; the last on every validation row, the others on tune_report_users


class StagedTrainer(Trainer):
    """RecBole's Trainer for models that learn nothing by gradient: `fit` is one validation.

    Attributes:
        searched: the model whose tuned file holds this one's keys; None where there is nothing to tune.
    """

    tuned_as: str | None = None

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """Raises UserError on what can be known to be wrong before any model is trained."""
        check_cold_token(config)

    def set_data(self, loaders: Loaders, store: StageStore, core_table: Callable[[], Any]) -> None:
        """Hands over, before `fit`, what stages are made from.

        Args:
            loaders: the rows, behind the model's own loader where it has one.
            store: where stages lie.
            core_table: trains CORE on the same rows, or finds it trained, and gives its table [N, d].
        """

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """What only this model has to say about its evaluation on the test rows; asked after it."""
        return {}

    def save_run(self, runs: Path, about: Mapping[str, Any]) -> Path | None:
        """Leaves what can be served in a folder below `runs`; None where this model has nothing of the kind."""
        return None

    def _build_optimizer(self, **kwargs: Any) -> None:
        return None

    def fit(
        self, train_data: Any, valid_data: Any = None, callback_fn: ValidCallback | None = None, **kwargs: Any
    ) -> tuple[float, Mapping[str, float]]:
        """Validates; (score, result), or (-1, {}) where there is no validation row."""
        self.eval_collector.data_collect(train_data)
        if valid_data is None or not len(valid_data._dataset):
            return -1.0, {}
        self.best_valid_score, self.best_valid_result = self._valid_epoch(valid_data)
        self._report(callback_fn, "valid", self.best_valid_score)
        return self.best_valid_score, self.best_valid_result

    @staticmethod
    def _report(callback_fn: ValidCallback | None, step: str, score: float) -> None:
        if callback_fn is not None:
            callback_fn(REPORTED.index(step), float(score))
