"""RecBole's own models, trained by RecBole's own Trainer, as stages of the store.

The same stage serves the CORE row of a table and the ID model of LLMFashionRec, so the two are one table. Seeding is
RecBole's: once before the data, once before the model. This module knows no prompt and no LLM.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from recbole.data.dataloader import FullSortEvalDataLoader, TrainDataLoader
from recbole.data.utils import create_samplers
from recbole.trainer import Trainer
from recbole.utils import get_trainer, init_seed
from safetensors.torch import load_file, save_file

from recbole_llmfashion import compat
from recbole_llmfashion.config import LLMFashionConfig, own_keys, recbole_keys
from recbole_llmfashion.data.dataset import LLMFashionRecDataset
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stages import StageStore, sha256_arrays

# Keys that change where files lie, what is printed or how fast evaluation goes, and never what a model learns; and keys
# that choose rows, for the rows themselves are a part of the stage's inputs.
_WITHOUT_EFFECT = {
    "data_path", "checkpoint_dir", "show_progress", "state", "gpu_id", "use_gpu", "worker", "eval_batch_size",
    "config_file", "config_files", "log_wandb", "wandb_project", "dataset", "metrics", "attribution_hours", "tuned",
    "split_by", "time_split", "train_share",
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


def make_loaders(config: LLMFashionConfig) -> Loaders:
    """The rows of docs/method.md's split behind RecBole's own loaders."""
    init_seed(config["seed"], config["reproducibility"])
    dataset = LLMFashionRecDataset(config)
    if max(config["topk"]) > len(dataset.catalogue):
        raise UserError(f"topk: {max(config['topk'])} is more than the {len(dataset.catalogue)} items; lower it")
    parts = dataset.build()
    samplers = create_samplers(config, dataset, parts)
    train = TrainDataLoader(config, parts[0], samplers[0], shuffle=config["shuffle"])
    valid = FullSortEvalDataLoader(config, parts[1], samplers[1], shuffle=False)
    return Loaders(dataset, train, valid, FullSortEvalDataLoader(config, parts[2], samplers[2], shuffle=False))


def make_trainer(config: LLMFashionConfig, model: Any, trainer_class: type | None = None) -> Trainer:
    """RecBole's trainer for a model, without its tensorboard folder."""
    with compat.no_tensorboard_folder():
        return (trainer_class or get_trainer(config["MODEL_TYPE"], config["model"]))(config, model)


def rows_sha256(loader: Any) -> str:
    """Digest of a loader's rows as its model sees them."""
    feat = loader._dataset.inter_feat
    return sha256_arrays(*(feat[name].numpy() for name in sorted(feat.columns)))


def learning_keys(config: LLMFashionConfig) -> dict[str, Any]:
    """The part of a config that what a RecBole model learns can depend on."""
    keys = (recbole_keys(config["model"]) | own_keys(config["model"])) - _WITHOUT_EFFECT
    values = {key: config.final_config_dict.get(key) for key in sorted(keys)}
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
    init_seed(config["seed"], config["reproducibility"])
    model = config.model_class(config, loaders.train._dataset).to(config["device"])
    trainer = make_trainer(config, model)
    trainer.saved_model_file = str(folder / "best.pth")
    valid = loaders.valid if len(loaders.valid._dataset) else None
    score, result = trainer.fit(
        loaders.train, valid, saved=True, show_progress=config["show_progress"], verbose=True, callback_fn=on_epoch
    )
    with compat.own_checkpoint():
        best = torch.load(trainer.saved_model_file, map_location="cpu")["state_dict"]
    Path(trainer.saved_model_file).unlink()
    save_file({name: tensor.clone().contiguous() for name, tensor in best.items()}, folder / "model.safetensors")
    report = {
        "epochs": len(trainer.train_loss_dict),
        "epochs_allowed": config["epochs"],
        "valid_score": float(score),
        "valid": {name: float(value) for name, value in (result or {}).items()},
        "valid_scores": heard,
        "train_loss": [float(loss) for loss in trainer.train_loss_dict.values()],
    }
    (folder / "fit.json").write_text(json.dumps(report, indent=1))


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
