"""Training examples for a backbone from a real dataset: its training rows only.

The rows are those before the validation row of a leave-one-out run, and never one of a user's last two item actions.
Searches are those before the user's last such action. Texts of items stay as they are.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.data.split import NO_ROW, TRAIN, VALID, split_codes, training_actions
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.seen import SeenDataset
from recbole_llmfashion.llm.pretraining.shop_examples import Shop, ShopExamples

WINDOW = 24  # purchases between two responses of a user, about as many as a prompt shows


def training_part(folder: AtomicFolder) -> AtomicFolder:
    """A dataset cut down to what a pre-training may read; all items stay.

    Args:
        folder: in the order of a clean dataset; not changed.
    """
    log = folder.interactions
    users = pd.factorize(log["user_id"])[0]
    kept = log[training_actions(users, (log["action"] == "purchase").to_numpy())].reset_index(drop=True)
    return replace(folder, interactions=kept, searches=_searches_before(folder, kept))


def validation_part(folder: AtomicFolder) -> AtomicFolder:
    """The users with a validation row, cut down so that its target, a purchase, is their last action.

    Args:
        folder: in the order of a clean dataset; not changed.
    """
    log = folder.interactions
    users = pd.factorize(log["user_id"])[0]
    codes = split_codes(users, (log["action"] == "purchase").to_numpy())
    in_part = np.isin(codes, (TRAIN, NO_ROW, VALID)) & np.isin(users, users[codes == VALID])
    kept = log[in_part].reset_index(drop=True)
    return replace(folder, interactions=kept, searches=_searches_before(folder, kept))


def _searches_before(folder: AtomicFolder, kept: pd.DataFrame) -> pd.DataFrame:
    """The searches before their user's last action of `kept`."""
    searches, last = folder.searches, kept.groupby("user_id")["timestamp"].max()
    # NaN for a user without an action, and no time is before NaN
    early = searches["timestamp"] < searches["user_id"].map(last).astype(float)
    return searches[early].reset_index(drop=True)


def spaced(bought: np.ndarray) -> list[int]:
    """The last purchase, and each one a multiple of WINDOW before it.

    >>> spaced(np.arange(50))
    [49, 25, 1]
    """
    return [int(row) for row in bought[::-1][::WINDOW]]


def read_real_shop(path: Path, tokenizer: Any, passes: float) -> tuple[ShopExamples, SeenDataset]:
    """Reads a real dataset and builds its examples, with one token per item.

    Args:
        path: a folder of atomic files.
        tokenizer: the backbone's.
        passes: epochs over the examples.

    Returns:
        the examples, and what the backbone will have seen.

    Raises:
        UserError: a file has an error, the rows are not in order, or there is no training row.
    """
    whole = read_folder(path)
    check_clean(whole)
    folder = training_part(whole)
    if not len(folder.interactions):
        raise UserError(f"real_datasets: {path} has no training row (a user needs four purchases); leave it out")
    shop = Shop(folder)
    seen = SeenDataset(
        folder.name,
        folder_sha256(path, folder.name),
        rows_sha256(folder),
        int(folder.interactions["user_id"].nunique()),
        len(folder.interactions),
    )
    examples = ShopExamples(
        folder.name, shop.words(tokenizer), shop.listed(tokenizer, spaced), [], shop.positions(), passes
    )
    return examples, seen


def read_validation(path: Path, tokenizer: Any) -> ShopExamples:
    """The validation rows of a real dataset as examples with one token per item, to measure a backbone by.

    Args:
        path: a folder of atomic files.
        tokenizer: the backbone's.
    """
    shop = Shop(validation_part(read_folder(path)))
    examples = shop.listed(tokenizer, lambda bought: [int(bought[-1])])
    return ShopExamples(path.resolve().name, shop.words(tokenizer), examples, [], shop.positions())


def rows_sha256(folder: AtomicFolder) -> str:
    """Digest of the item actions and searches of a dataset, as tab-separated text."""
    digest = hashlib.sha256()
    for frame in (folder.interactions, folder.searches):
        digest.update(frame.to_csv(sep="\t", index=False, lineterminator="\n").encode())
    return digest.hexdigest()
