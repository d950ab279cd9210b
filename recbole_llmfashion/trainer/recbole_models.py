"""RecBole's own models, trained by RecBole's own Trainer, as stages of the store.

The same stage serves the row of a table and the ID model of LLMFashionRec (`session_model`), so both use the same item
embeddings.
Seeding is RecBole's: once before the data, once before the model. With `cold_token` the model trains with the shared
token of cold_token.py and has a stage of its own.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import TrainDataLoader
from recbole.trainer import Trainer
from recbole.utils import get_trainer, init_seed
from safetensors.torch import load_file, save_file

from recbole_llmfashion import compat
from recbole_llmfashion.config.configurator import LLMFashionConfig, learning_keys
from recbole_llmfashion.config.evaluation_keys import computed_metrics
from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.folder import item_columns
from recbole_llmfashion.data.dataset import selected_features
from recbole_llmfashion.data.loaders import Loaders, rows_of, rows_sha256, sampler_of
from recbole_llmfashion.data.whole_sequences import whole_sequences
from recbole_llmfashion.evaluation.collector import HeadCollector, OrderedEvaluation
from recbole_llmfashion.model.length_groups import encodes_groups, group_by_length
from recbole_llmfashion.model.tiled_scores import dot_orders
from recbole_llmfashion.retrieval.lists.id_model import IdModel
from recbole_llmfashion.retrieval.lists.sequence_list import EncoderSettings, SequenceEncoder
from recbole_llmfashion.stage_store import StageStore, sha256_arrays, stage_seed
from recbole_llmfashion.tracking import Track, no_track
from recbole_llmfashion.trainer.cold_token import (
    ColdItems,
    ColdTokenTrainer,
    WiderDataset,
    apply_cold_rows,
    cold_items,
    init_rows,
)
from recbole_llmfashion.trainer.staged import StagedTrainer, ValidCallback
from recbole_llmfashion.trainer.tracked_epochs import TrackedEpochs

FIT_FORMAT = 2  # of fit.json
ITEM_TABLE = "item_embedding.weight"
ENCODED = ("SASRec", "SASRecSampled")  # models that retrieval.lists.sequence_list can encode
WITH_USERS = ("Caser", "FOSSIL", "FPMC", "HGN", "HRM", "NPE", "SHAN", "TransRec")  # have parameters of each user
READS_OTHER_ROWS = ("FEARec",)  # models whose loss reads sequences of the dataset beside those of its batch


class RecBoleTrainer(StagedTrainer):
    """The trainer interface for RecBole's own sequential models: `fit` makes or loads the stage of a trained model.

    Attributes:
        vectors: [N, d] float32, of the items' texts for a model that reads them; set by `set_data`.
    """

    vectors: np.ndarray | None = None

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """See StagedTrainer; `.item` is read up to its header."""
        StagedTrainer.validate_config(config)
        if config["selected_features"] is not None:
            selected_features(config, item_columns(Path(config["data_path"]), config["dataset"], FieldNames.of(config)))

    @property
    def tuned_as(self) -> str:
        """See StagedTrainer."""
        return str(self.config["model"])

    def set_data(self, loaders: Loaders, store: StageStore, id_model: Callable[[], Any]) -> None:
        """See StagedTrainer."""
        super().set_data(loaders, store, id_model)
        self._loaders, self._store = loaders, store
        if self.config["length_groups"]:
            group_by_length(self.model)
        evaluate_by_tiles(self, self.model, loaders.dataset.catalogue.tie_rank)

    def fit(
        self, train_data: Any, valid_data: Any = None, callback_fn: ValidCallback | None = None, **kwargs: Any
    ) -> tuple[float, Mapping[str, float]]:
        """Trains with RecBole's Trainer, or loads the stage, and takes the weights of the best epoch."""
        self._folder = train_or_load(self.config, self._loaders, self._store, callback_fn, self.track, self.vectors)
        self.model.load_state_dict(load_file(self._folder / "model.safetensors"))
        self.model.eval()
        fit = json.loads((self._folder / "fit.json").read_text())
        self.fit_details = {name: fit[name] for name in ("epochs", "epochs_allowed", "cold_token") if name in fit}
        score, found = fit["valid_score"], fit["valid"]
        wanted = [name.lower() for name in computed_metrics(self.config)]
        if found and not found.keys() >= {*wanted}:  # the stage was made for other metrics
            found = super().fit(train_data, valid_data)[1]
        self.best_valid_score = score
        self.best_valid_result = {name: found[name] for name in wanted if name in found}
        return self.best_valid_score, self.best_valid_result

    def save_run(self, runs: Path, about: Mapping[str, Any]) -> Path:
        """The stage itself, which holds all that the model is."""
        return self._folder


def make_trainer(
    config: LLMFashionConfig, model: Any, trainer_class: type, places: np.ndarray, track: Track = no_track
) -> Trainer:
    """A Trainer of RecBole that makes no matrix of users by items.

    Args:
        trainer_class: RecBole's own, or one that extends it.
        places: [N] int64 among equal scores by catalogue position, see `tie_rank`.
        track: gets the numbers of each epoch.
    """
    with compat.trackers_off():
        trainer: Any = _ordered_class(trainer_class)(config, model)
    trainer.track = track
    trainer.eval_collector = HeadCollector(config, places)
    evaluate_by_tiles(trainer, model, places)
    return trainer


@cache
def _ordered_class(trainer_class: type) -> type:
    """A class of RecBole's trainers whose evaluation can take orders."""
    return type(f"Ordered{trainer_class.__name__}", (TrackedEpochs, OrderedEvaluation, trainer_class), {})


def evaluate_by_tiles(trainer: Any, model: Any, places: np.ndarray) -> None:
    """Evaluates a model that scores by dot products tile by tile, where the catalogue is larger than a tile."""
    tie = torch.from_numpy(places)
    if ordered := dot_orders(model, tie):
        trainer.evaluate_orders(ordered, tie)


def train_or_load(
    config: LLMFashionConfig,
    loaders: Loaders,
    store: StageStore,
    callback_fn: ValidCallback | None = None,
    track: Track = no_track,
    vectors: np.ndarray | None = None,
) -> Path:
    """The stage folder of a trained RecBole model: model.safetensors and fit.json.

    Its inputs are the model's keys and the train and valid rows, never the test rows.

    Args:
        callback_fn: of RecBole's `fit`, called with (epoch from 0, validation score) at the end of each epoch; where
            the stage exists, with the scores of its training.
        track: gets the numbers of each epoch; where the stage exists, the losses and scores of its training.
        vectors: [N, d] of the items' texts, for a model that has `attach`; None for others.
    """
    reports: list[tuple[int, float]] = []

    def on_epoch(epoch: int, score: float) -> None:
        reports.append((epoch, float(score)))
        if callback_fn is not None:
            callback_fn(*reports[-1])

    inputs = {
        "model": config["model"],
        "fit": FIT_FORMAT,
        "keys": learning_keys(config),
        "train": rows_sha256(loaders.train),
        "valid": rows_sha256(loaders.valid),
        "items": loaders.dataset.item_num,
    }
    if config["model"] in WITH_USERS:
        inputs["users"] = loaders.dataset.user_num  # a user with a test row alone is in no other input
    if config["cold_token"]:
        inputs["cold_token"] = sha256_arrays(np.minimum(loaders.dataset.popularity(), 2))
    if vectors is not None:
        inputs |= {"vectors": sha256_arrays(vectors), "ties": "hash"}  # items of one text have equal scores
    if config["length_groups"] and encodes_groups(config.model_class):
        inputs["length_groups"] = True
    if config["mask_history"]:
        inputs["mask_history"] = True
    made: list[Path] = []

    def build(folder: Path) -> None:
        made.append(folder)
        _fit(config, loaders, folder, on_epoch, reports, track, vectors)

    folder = store.get(f"train_{config['model']}", inputs, build)
    if not made:
        fit = json.loads((folder / "fit.json").read_text())
        for epoch, loss in enumerate(fit.get("train_loss", ())):  # early stages have none
            track(epoch, {"train/epoch": float(epoch), "train/train_loss": loss})
        for epoch, score in fit["valid_scores"]:
            track(epoch, {f"valid/{config['valid_metric'].lower()}": score})
            on_epoch(epoch, score)
    return folder


def _fit(
    config: LLMFashionConfig,
    loaders: Loaders,
    folder: Path,
    on_epoch: ValidCallback,
    reports: list[tuple[int, float]],
    track: Track,
    vectors: np.ndarray | None,
) -> None:
    cold = _cold_rows(config, loaders) if config["cold_token"] else None
    train_data = _training_data(config, loaders, cold)
    init_seed(config["seed"], config["reproducibility"])
    rows = rows_of(train_data)
    rows = rows.with_sequences() if config["model"] in READS_OTHER_ROWS else rows
    model = compat.build_model(config.model_class, config, rows)
    if vectors is not None:
        model.attach(vectors)
    model = model.to(config["device"])
    if config["length_groups"]:
        group_by_length(model)
    own = get_trainer(config["MODEL_TYPE"], config["model"]) if cold is None else ColdTokenTrainer
    trainer: Any = make_trainer(config, model, own, loaders.dataset.catalogue.tie_rank, track)
    if cold is not None:
        trainer.items, trainer.fresh = cold
    trainer.saved_model_file = str(folder / "best.pth")
    valid = loaders.valid if len(rows_of(loaders.valid)) else None
    score, result = trainer.fit(
        train_data, valid, saved=True, show_progress=config["show_progress"], verbose=True, callback_fn=on_epoch
    )
    with compat.own_checkpoint():
        best = torch.load(trainer.saved_model_file, map_location="cpu")["state_dict"]
    Path(trainer.saved_model_file).unlink()
    if cold is not None:
        model.load_state_dict(best)
        apply_cold_rows(model, cold[0].token, cold[0].cold, cold[1])
        best = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    save_file({name: tensor.clone().contiguous() for name, tensor in best.items()}, folder / "model.safetensors")
    report = {
        "epochs": len(trainer.train_loss_dict),
        "epochs_allowed": config["epochs"],
        "valid_score": float(score),
        "valid": {name: float(value) for name, value in (result or {}).items()},
        "valid_scores": reports,
        "train_loss": [float(loss) for loss in trainer.train_loss_dict.values()],
    }
    if cold is not None:
        report["cold_token"] = {"items_replaced": cold[0].replaced, "items_finished": len(cold[0].cold)}
    (folder / "fit.json").write_text(json.dumps(report, indent=1))


def _cold_rows(config: LLMFashionConfig, loaders: Loaders) -> tuple[ColdItems, dict[str, torch.Tensor]]:
    """The cold items and their freshly initialised rows, which depend on the seed alone."""
    items, dataset = cold_items(loaders.dataset.popularity()), rows_of(loaders.train)
    init_seed(stage_seed(config["seed"], "cold_token"), config["reproducibility"])
    model = compat.build_model(config.model_class, config, dataset)
    wider = compat.build_model(config.model_class, config, WiderDataset(dataset))
    return items, init_rows(model, wider, dataset.item_num, items.cold)


def _training_data(config: LLMFashionConfig, loaders: Loaders, cold: tuple[ColdItems, Any] | None) -> Any:
    """The training loader; over rows in which the token replaces items, or over whole sequences, where requested."""
    dataset = rows_of(loaders.train)
    if cold is not None:
        dataset = dataset.replace_items(cold[0].replacement)
    if getattr(config.model_class, "whole_sequences", False):
        dataset = whole_sequences(dataset)
    if dataset is rows_of(loaders.train):
        return loaders.train
    return TrainDataLoader(config, dataset, sampler_of(loaders.train), shuffle=config["shuffle"])


def load_id_model(folder: Path, config: LLMFashionConfig) -> IdModel:
    """The ID model of a stage: its item embeddings, and its encoder where it is one of ENCODED.

    Args:
        folder: of `train_or_load`.
        config: of the model.
    """
    weights = load_file(folder / "model.safetensors")
    table = weights.pop(ITEM_TABLE)[1:].numpy()  # without the pad row, which CORE trains as a negative
    if config["model"] not in ENCODED:
        return IdModel(table)
    cosine = config["similarity"] == "cosine"  # a key of SASRecSampled alone
    settings = EncoderSettings(config["n_heads"], config["hidden_act"], float(config["layer_norm_eps"]), cosine)
    return IdModel(table, SequenceEncoder({name: weight.numpy() for name, weight in weights.items()}, settings))
