"""StagedTrainer: the interface that every model's trainer has, RecBole's own models included."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recbole.trainer import Trainer

from recbole_llmfashion import compat
from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import Loaders, rows_of
from recbole_llmfashion.evaluation.collector import HeadCollector, OrderedEvaluation
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.tracking import Track, no_track
from recbole_llmfashion.trainer.cold_token import check_cold_token

ValidCallback = Callable[[int, float], None]  # step from 0, validation score
# The steps that `fit` reports for LLMFashionRec, by number; a model without these stages reports the last one only.
REPORTED = ("backbone", "adapter", "valid")


class StagedTrainer(OrderedEvaluation, Trainer):
    """RecBole's Trainer with the hooks that `run_experiment` calls; the base class trains nothing and validates once.

    The order of calls is `validate_config`, the constructor, `set_data`, `fit`, `evaluate`, `result_details`,
    `save_run`. A command calls `validate_rows` of all its models before the first of them trains.

    Args:
        config: RecBole's.
        model: in evaluation it is scored by `full_sort_predict`, or by its `ordered` where it has one.

    Attributes:
        fit_details: what `fit` adds to the details of the result.
        track: gets the numbers of a training while it runs; the caller sets it before `set_data`.
    """

    def __init__(self, config: LLMFashionConfig, model: Any) -> None:
        with compat.trackers_off():
            super().__init__(config, model)
        self.fit_details: dict[str, Any] = {}
        self.track: Track = no_track
        if hasattr(model, "ordered"):
            self.evaluate_orders(model.ordered, model.tie)

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """Checks what can be checked before any model trains.

        Raises:
            UserError: a key has a value that this model cannot use.
        """
        check_cold_token(config)

    @staticmethod
    def validate_rows(config: LLMFashionConfig) -> None:
        """Checks what needs the rows; a command calls it before its first model trains.

        Raises:
            UserError: this model cannot train on the rows.
        """

    @staticmethod
    def needs_id_model(config: LLMFashionConfig) -> bool:
        """Whether `fit` calls `id_model` of `set_data`; a command may train that model in another process meanwhile."""
        return False

    @property
    def tuned_as(self) -> str | None:
        """The model whose file in properties/tuned holds this model's keys; None where there is nothing to tune."""
        return None

    def set_data(self, loaders: Loaders, store: StageStore, id_model: Callable[[], Any]) -> None:
        """Takes what the stages are made from; called once, before `fit`.

        Args:
            loaders: the rows, behind the model's own loader where it has one.
            store: the stages of this dataset.
            id_model: trains the ID model of `session_model` on the same rows, or loads it, and returns it.
        """
        self.eval_collector = HeadCollector(self.config, loaders.dataset.catalogue.tie_rank)

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """The details that only this model has; called after the evaluation of the test rows."""
        return {}

    def save_run(self, runs: Path, about: Mapping[str, Any]) -> Path | None:
        """Writes a folder below `runs` that can be loaded later, and returns it; None where the model has none."""
        return None

    def _build_optimizer(self, **kwargs: Any) -> None:
        return None

    def fit(
        self, train_data: Any, valid_data: Any = None, callback_fn: ValidCallback | None = None, **kwargs: Any
    ) -> tuple[float, Mapping[str, float]]:
        """Validates; (score, result), or (-1, {}) where there is no validation row."""
        self.eval_collector.data_collect(train_data)
        if valid_data is None or not len(rows_of(valid_data)):
            return -1.0, {}
        self.best_valid_score, self.best_valid_result = self._valid_epoch(valid_data)
        self._report(callback_fn, "valid", self.best_valid_score)
        return self.best_valid_score, self.best_valid_result

    @staticmethod
    def _report(callback_fn: ValidCallback | None, step: str, score: float) -> None:
        if callback_fn is not None:
            callback_fn(REPORTED.index(step), float(score))
