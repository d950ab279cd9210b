"""RecBole's Trainer for Recformer: `fit` runs the stages of model/recformer/stages.py and validates with RecBole.

With `source_dataset` the stages are those of the source's own run, and only the catalogue of the target is encoded
(docs/method.md, zero-shot).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config, no_core, source_config
from recbole_llmfashion.data.dataset import check_in_header
from recbole_llmfashion.data.loaders import Loaders, make_loaders, rows_of, stage_root
from recbole_llmfashion.data.location import find_dataset
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.model import Recformer, check_attributes
from recbole_llmfashion.model.recformer.stages import EMBEDDED, RecformerPipeline, TrainedRecformer
from recbole_llmfashion.model.recformer.vocabulary import Vocabulary
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.staged import StagedTrainer, ValidCallback


class RecformerTrainer(StagedTrainer):
    """RecBole's Trainer for Recformer and RecformerQuery.

    Attributes:
        pipeline: the stages that train, of the source in zero-shot; set by `train_stages`.
    """

    model: Recformer
    pipeline: RecformerPipeline

    @property
    def tuned_as(self) -> str:
        """Recformer and RecformerQuery differ in the histories that they read, and share their keys."""
        return "Recformer"

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """Checks values, the backbone and the source dataset."""
        StagedTrainer.validate_config(config)
        names = check_attributes(config["recformer_attributes"])
        check_in_header(names, config, "recformer_attributes")
        if config["recformer_name_or_path"] != EMBEDDED:
            Vocabulary.load(str(config["recformer_name_or_path"]))
        if config["source_dataset"]:
            check_in_header(names, source_config(config), "recformer_attributes")

    def set_data(self, loaders: Loaders, store: StageStore, id_model: Callable[[], Any]) -> None:
        """See StagedTrainer."""
        super().set_data(loaders, store, id_model)
        self._loaders, self._store = loaders, store

    def fit(
        self, train_data: Any, valid_data: Any = None, callback_fn: ValidCallback | None = None, **kwargs: Any
    ) -> tuple[float, Mapping[str, float]]:
        """Runs every stage, then validates; `callback_fn` gets the score of each evaluated epoch."""
        if self.config["source_dataset"]:
            source = self._from_source()
            target = RecformerPipeline(self.config, self._loaders, self._store, self.model, source)
            target.prepare()
            target.learn(None, lambda epoch, score: None)
        else:
            self.train_stages(callback_fn)
        score, result = super().fit(train_data, valid_data)
        if callback_fn is not None and self.config["source_dataset"]:
            callback_fn(0, float(score))
        return score, result

    def train_stages(self, callback_fn: ValidCallback | None = None) -> None:
        """Trains or loads the stages of this dataset."""
        self.pipeline = RecformerPipeline(self.config, self._loaders, self._store, self.model, track=self.track)
        self.pipeline.prepare()
        valid = self._loaders.valid
        self.eval_collector.data_collect(self._loaders.train)
        self.pipeline.learn(
            (lambda: float(self._valid_epoch(valid)[0])) if len(rows_of(valid)) else None,
            callback_fn or (lambda epoch, score: None),
        )

    def _from_source(self) -> TrainedRecformer:
        """Vocabulary and encoder of the same model's run on the source dataset."""
        config = source_config(self.config)
        loaders = make_loaders(config)
        model = type(self.model)(config, rows_of(loaders.train)).to(config["device"])
        trainer = type(self)(config, model)
        trainer.track = self.track
        trainer.set_data(loaders, StageStore(stage_root(config), self._store.on_stage), no_core)
        trainer.train_stages()
        self.pipeline = trainer.pipeline
        return TrainedRecformer(trainer.pipeline.vocabulary, trainer.pipeline.scorer.encoder)

    def result_details(self, loaders: Loaders) -> dict[str, Any]:
        """What the stages measured, and the source dataset."""
        return self.pipeline.report | {"source": self.config["source_dataset"]}


def pretrain_corpus(
    model: type[Recformer], dataset: str, config_files: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> Path:
    """Pre-trains Recformer on a dataset's training users, or loads that stage.

    Args:
        model: Recformer or RecformerQuery.
        dataset: a folder below data_path.
        config_files, overrides: of `load_config`.

    Returns:
        the stage's folder, which `recformer_name_or_path` takes on any other dataset.

    Raises:
        UserError: a wrong key or value, recformer_pretrain_epochs: 0 included.
    """
    config = load_config(model, dataset, config_files, overrides)
    find_dataset(Path(config["data_path"]), config["dataset"])
    RecformerTrainer.validate_config(config)
    if not config["recformer_pretrain_epochs"]:
        raise UserError("recformer_pretrain_epochs: expected 1 or more, found 0; 0 means no pre-training")
    loaders = make_loaders(config)
    history_reader = model(config, rows_of(loaders.train))
    pipeline = RecformerPipeline(config, loaders, StageStore(stage_root(config)), history_reader)
    pipeline.prepare()
    return pipeline.pretrain()
