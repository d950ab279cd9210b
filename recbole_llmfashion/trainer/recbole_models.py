"""RecBole's own models, trained by RecBole's own Trainer, as stages of the store.

The same stage serves the CORE row of a table and the ID model of LLMFashionRec, so the two are one table. Seeding is
RecBole's: once before the data, once before the model. With `cold_token` the same model is trained and finished as
cold_token.py has it, as a stage of its own. This module knows no prompt and no LLM.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import TrainDataLoader
from recbole.data.utils import create_samplers
from recbole.trainer import Trainer
from recbole.utils import get_trainer, init_seed
from safetensors.torch import load_file, save_file

from recbole_llmfashion import compat
from recbole_llmfashion.config.configurator import LLMFashionConfig, keys_of
from recbole_llmfashion.data.dataset import LLMFashionRecDataset
from recbole_llmfashion.data.eval_loader import EvalLoader
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.collector import HeadCollector, ask_for_orders
from recbole_llmfashion.model.tiled_scores import dot_orders
from recbole_llmfashion.stage_store import StageStore, sha256_arrays, sha256_stream, stage_seed
from recbole_llmfashion.trainer.cold_token import (
    ColdItems,
    ColdTokenTrainer,
    OneItemMore,
    cold_items,
    finish,
    fresh_rows,
)

# Keys that say where things lie, where and by how many it is computed, and what is printed; they change no figure of a
# row.
PLACES = {
    "data_path", "checkpoint_dir", "show_progress", "state", "gpu_id", "use_gpu", "worker", "config_file",
    "num_train_workers", "ray_address",
}  # fmt: skip
# Keys that change what is evaluated, or how fast, and never what a model learns; and keys
# that choose rows, for the rows themselves are a part of the stage's inputs. cold_token and
# mask_history (it moves the validation scores that end a training) are inputs of their own where they are True, so that
# rows without them stay the stages that they were.
_WITHOUT_EFFECT = PLACES | {
    "eval_batch_size", "eval_memory_mb", "config_files", "log_wandb", "wandb_project", "dataset", "metrics",
    "attribution_hours", "tuned", "split_by", "time_split", "train_share", "cold_token", "mask_history",
}  # fmt: skip

FIT_FORMAT = 2  # of fit.json
ValidCallback = Callable[[int, float], None]


@dataclass(frozen=True)
class Loaders:
    """A dataset with its three loaders."""

    dataset: LLMFashionRecDataset
    train: Any
    valid: Any
    test: Any


def stage_root(config: LLMFashionConfig) -> Path:
    """Where every run on the config's dataset keeps its stages: saved/<dataset>/stages, below checkpoint_dir."""
    return Path(config["checkpoint_dir"]) / config["dataset"] / "stages"


def make_loaders(config: LLMFashionConfig) -> Loaders:
    """The rows of docs/method.md's split behind RecBole's own loaders."""
    check_cold_token(config)
    init_seed(config["seed"], config["reproducibility"])
    dataset = LLMFashionRecDataset(config)
    if max(config["topk"]) > len(dataset.catalogue):
        raise UserError(f"topk: {max(config['topk'])} is more than the {len(dataset.catalogue)} items; lower it")
    parts = dataset.build()
    samplers = create_samplers(config, dataset, parts)
    train = TrainDataLoader(config, parts[0], samplers[0], shuffle=config["shuffle"])
    valid = EvalLoader(config, parts[1], samplers[1])
    return Loaders(dataset, train, valid, EvalLoader(config, parts[2], samplers[2]))


def check_cold_token(config: LLMFashionConfig) -> None:
    """Raises UserError where cold_token is asked of a model that is not RecBole's own."""
    if config["cold_token"] and config.model_class.__module__.split(".")[0] != "recbole":
        raise UserError(
            f"cold_token: is for RecBole's ID models, such as SASRec, and not for {config['model']}; run those apart"
        )


def make_trainer(
    config: LLMFashionConfig, model: Any, trainer_class: type | None = None, item_ids: Sequence[str] = ()
) -> Trainer:
    """RecBole's trainer for a model, without its tensorboard folder and without a matrix of users by items.

    Args:
        item_ids: of the catalogue; with them, a large one is scored by tiles (model/dot.py).
    """
    with compat.no_tensorboard_folder():
        trainer = (trainer_class or get_trainer(config["MODEL_TYPE"], config["model"]))(config, model)
    trainer.eval_collector = HeadCollector(config)
    if hasattr(model, "ordered"):
        ask_for_orders(trainer, model.ordered, model.tie)
    elif item_ids:
        tie = cache(lambda: torch.from_numpy(tie_rank(item_ids)))
        if ordered := dot_orders(model, tie):
            ask_for_orders(trainer, ordered, tie())
    return trainer


def rows_sha256(loader: Any) -> str:
    """Digest of a loader's rows as its model sees them."""
    return sha256_stream(values for _, values in loader._dataset.seen())


def learning_keys(config: LLMFashionConfig) -> dict[str, Any]:
    """The part of a config that what a RecBole model learns can depend on."""
    values = {key: config.final_config_dict.get(key) for key in sorted(keys_of(config.model_class) - _WITHOUT_EFFECT)}
    return {key: value for key, value in values.items() if isinstance(value, str | int | float | bool | list | dict)}


def trained(
    config: LLMFashionConfig, loaders: Loaders, store: StageStore, callback_fn: ValidCallback | None = None
) -> Path:
    """The stage folder of a trained RecBole model: model.safetensors and fit.json.

    Its inputs are the model's keys and the train and valid rows; test rows are no part of them.

    Args:
        callback_fn: as RecBole's `fit` has it, called with (epoch from 0, validation score) as each epoch ends; where
            the stage is already there, with the scores that it had when it was made.
    """
    heard: list[tuple[int, float]] = []

    def on_epoch(epoch: int, score: float) -> None:
        heard.append((epoch, float(score)))
        if callback_fn is not None:
            callback_fn(*heard[-1])

    inputs = {
        "model": config["model"],
        "fit": FIT_FORMAT,
        "keys": learning_keys(config),
        "train": rows_sha256(loaders.train),
        "valid": rows_sha256(loaders.valid),
        "items": loaders.dataset.item_num,
    }
    if config["cold_token"]:
        inputs["cold_token"] = sha256_arrays(np.minimum(loaders.dataset.popularity(), 2))
    if config["mask_history"]:
        inputs["mask_history"] = True
    folder = store.get(
        f"train_{config['model']}", inputs, lambda folder: _fit(config, loaders, folder, on_epoch, heard)
    )
    if not heard:
        for epoch, score in json.loads((folder / "fit.json").read_text())["valid_scores"]:
            on_epoch(epoch, score)
    return folder


def _fit(
    config: LLMFashionConfig, loaders: Loaders, folder: Path, on_epoch: ValidCallback, heard: list[tuple[int, float]]
) -> None:
    cold = _cold_rows(config, loaders) if config["cold_token"] else None
    train_data = loaders.train if cold is None else _with_token(config, loaders.train, cold[0])
    init_seed(config["seed"], config["reproducibility"])
    model = config.model_class(config, loaders.train._dataset).to(config["device"])
    item_ids = loaders.dataset.catalogue.item_ids
    trainer = make_trainer(config, model, None if cold is None else ColdTokenTrainer, item_ids)
    if cold is not None:
        trainer.items, trainer.fresh = cold
    trainer.saved_model_file = str(folder / "best.pth")
    valid = loaders.valid if len(loaders.valid._dataset) else None
    score, result = trainer.fit(
        train_data, valid, saved=True, show_progress=config["show_progress"], verbose=True, callback_fn=on_epoch
    )
    with compat.own_checkpoint():
        best = torch.load(trainer.saved_model_file, map_location="cpu")["state_dict"]
    Path(trainer.saved_model_file).unlink()
    if cold is not None:
        model.load_state_dict(best)
        finish(model, cold[0].token, cold[0].cold, cold[1])
        best = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    save_file({name: tensor.clone().contiguous() for name, tensor in best.items()}, folder / "model.safetensors")
    report = {
        "epochs": len(trainer.train_loss_dict),
        "epochs_allowed": config["epochs"],
        "valid_score": float(score),
        "valid": {name: float(value) for name, value in (result or {}).items()},
        "valid_scores": heard,
        "train_loss": [float(loss) for loss in trainer.train_loss_dict.values()],
    }
    if cold is not None:
        report["cold_token"] = {"items_replaced": cold[0].replaced, "items_finished": len(cold[0].cold)}
    (folder / "fit.json").write_text(json.dumps(report, indent=1))


def _cold_rows(config: LLMFashionConfig, loaders: Loaders) -> tuple[ColdItems, dict[str, torch.Tensor]]:
    """The cold items and their freshly initialised rows, which depend on the seed and on nothing that is trained."""
    items, dataset = cold_items(loaders.dataset.popularity()), loaders.train._dataset
    init_seed(stage_seed(config["seed"], "cold_token"), config["reproducibility"])
    model = config.model_class(config, dataset)
    wider = config.model_class(config, OneItemMore(dataset))
    return items, fresh_rows(model, wider, dataset.item_num, items.cold)


def _with_token(config: LLMFashionConfig, train: Any, items: ColdItems) -> Any:
    """The training loader over rows in which the token stands for what it replaces."""
    dataset = train._dataset.items_become(items.stands_for)
    return TrainDataLoader(config, dataset, train._sampler, shuffle=config["shuffle"])


def load_trained(config: LLMFashionConfig, loaders: Loaders, folder: Path) -> Any:
    """The trained model of a stage, in evaluation mode."""
    model = config.model_class(config, loaders.train._dataset).to(config["device"])
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()


def core_table(folder: Path) -> Any:
    """CORE's item embeddings [N, d] float32 by catalogue position.

    The pad row, which CORE trains as a negative, is left out.
    """
    return load_file(folder / "model.safetensors")["item_embedding.weight"][1:].numpy()
