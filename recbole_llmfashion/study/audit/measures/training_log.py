"""The part of a log that a run trained on, by the run's keys: filters of rows, click filter, split, share of users.

`data.dataset` makes the same rows for RecBole; here neither RecBole nor torch is needed, and customers who were left
out of the data are read in the same way. With `split_by: time` the moments that cut their log are its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.config.keys import recbole_defaults, todays_names
from recbole_llmfashion.config.layers import merge_layers
from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.row_filters import RowFilters
from recbole_llmfashion.data.split import TRAIN, click_filter_keep, codes_by, keep_share
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.quick_start.registry import accepted_models

MODEL = "LLMFashionRec"


def keys_of_run(given: Mapping[str, Any], dataset: str, data_path: Path) -> dict[str, Any]:
    """All keys of a run of LLMFashionRec.

    Args:
        given: those that the run got, as its manifest has them.
        dataset: name of the dataset.
        data_path: the folder above the dataset's.
    """
    overrides = {**todays_names(given), "data_path": str(data_path)}
    merged = merge_layers(MODEL, dataset, overrides=overrides, model_names=accepted_models(MODEL))
    return {**recbole_defaults(MODEL), **merged}


@dataclass(frozen=True)
class TrainingLog:
    """The item actions that a run uses, and which of them are targets of training rows.

    Args:
        actions: columns of `.inter`; one user's rows together, in their order.
        training: [n] bool, whether the action is the target of a training row.
        searches: of these users or of others.
    """

    actions: pd.DataFrame
    training: NDArray[np.bool_]
    searches: pd.DataFrame

    @classmethod
    def of(cls, folder: AtomicFolder, keys: Mapping[str, Any]) -> Self:
        """That of a clean dataset.

        Args:
            folder: the dataset.
            keys: of the run, as `keys_of_run` returns them.
        """
        folder = RowFilters.of(keys).apply(folder)
        first, second = keys["time_split"]
        how = keys["split_by"], (first, second), keys["eval_args"]["split"]["LS"]
        actions = folder.interactions
        users, purchase, times = _columns(actions)
        items = pd.factorize(actions["item_id"])[0]
        codes = codes_by(users, purchase, times, *how)
        keep = click_filter_keep(users, items, purchase, codes, keys["click_filter"])
        keep &= np.bincount(users[keep], minlength=users.max(initial=-1) + 1)[users] >= 2
        actions = actions[keep].reset_index(drop=True)
        users, purchase, times = _columns(actions)
        codes = codes_by(users, purchase, times, *how)
        if keys["train_share"] < 1:
            names = actions["user_id"].unique().astype(str).tolist()
            codes = keep_share(users, codes, tie_rank(names), keys["train_share"])
        return cls(actions, codes == TRAIN, folder.searches)


def _columns(actions: pd.DataFrame) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Codes of the users from 0, whether each action is a purchase, and its time."""
    purchase = (actions["action"] == "purchase").to_numpy()
    return pd.factorize(actions["user_id"])[0], purchase, actions["timestamp"].to_numpy(np.float64)
