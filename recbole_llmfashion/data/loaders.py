"""RecBole's loaders over the split of docs/method.md."""

from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recbole.config import Config
from recbole.data.dataloader import TrainDataLoader
from recbole.data.utils import create_samplers
from recbole.sampler import RepeatableSampler
from recbole.utils import init_seed

from recbole_llmfashion.data.dataset import LLMFashionRecDataset
from recbole_llmfashion.data.eval_loader import EvalLoader
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.stage_store import sha256_stream


@dataclass(frozen=True)
class Loaders:
    """A dataset with its three loaders."""

    dataset: LLMFashionRecDataset
    train: Any
    valid: Any
    test: Any


def rows_of(loader: Any) -> LLMFashionRecDataset:
    """The dataset part that a loader of RecBole reads."""
    return loader._dataset


def target_tokens(loaders: Loaders) -> pd.DataFrame:
    """Tokens of the test rows, in their order: columns user and target."""
    dataset, feat = loaders.dataset, rows_of(loaders.test).inter_feat
    fields = {"user": dataset.uid_field, "target": dataset.iid_field}
    return pd.DataFrame({name: dataset.id2token(field, feat[field].numpy()) for name, field in fields.items()})


def sampler_of(loader: Any) -> Any:
    """The negative sampler of a loader of RecBole."""
    return loader._sampler


def sample_rows(loader: Any, users: int) -> np.ndarray:
    """int64 [n] ascending indices of a loader's rows: those of `users` users, the same in every run."""
    part = rows_of(loader)
    ids = part.inter_feat[part.uid_field].numpy()
    order = tie_rank(part.id2token(part.uid_field, ids).tolist())
    return np.sort(np.argsort(order)[:users])


def stage_root(config: Config) -> Path:
    """Folder of the dataset's stages, shared by all its runs: <checkpoint_dir>/<dataset>/stages."""
    return Path(config["checkpoint_dir"]) / config["dataset"] / "stages"


def make_loaders(config: Config) -> Loaders:
    """Load the dataset, split it and build RecBole's loaders.

    Raises:
        UserError: the files break the format, a key has a bad value, or a part of the split is empty.
    """
    init_seed(config["seed"], config["reproducibility"])
    dataset = LLMFashionRecDataset(config)
    if max(config["topk"]) > len(dataset.catalogue):
        raise UserError(f"topk: {max(config['topk'])} is more than the {len(dataset.catalogue)} items; lower topk")
    parts = dataset.build()
    if config["mask_history"] == "auto":
        config["mask_history"] = dataset.never_repeats
        if dataset.never_repeats:
            getLogger(__name__).info(
                "mask_history: auto is True, because no user takes an item twice in training actions"
            )
    _, *samplers = create_samplers(config, dataset, parts)
    train = TrainDataLoader(config, parts[0], _train_sampler(config, parts[0]), shuffle=config["shuffle"])
    valid = EvalLoader(config, parts[1], samplers[0])
    return Loaders(dataset, train, valid, EvalLoader(config, parts[2], samplers[1]))


def _train_sampler(config: Config, train: LLMFashionRecDataset) -> Any:
    """RecBole's sampler of negatives, or None.

    RecBole counts the popularity of items over all rows, test targets included. Here it is over the training rows.
    """
    args = config["train_neg_sample_args"]
    if args["distribution"] == "none":
        return None
    return RepeatableSampler(["train"], train, args["distribution"], args["alpha"]).set_phase("train")


def rows_sha256(loader: Any) -> str:
    """SHA-256 over everything a model reads from a loader's rows."""
    return sha256_stream(values for _, values in rows_of(loader).model_inputs())
