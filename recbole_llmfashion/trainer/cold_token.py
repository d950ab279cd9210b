"""The cold token: embeddings for items that an ID model has hardly seen (docs/method.md, cold-start).

In training, one shared token replaces every item that occurs once in the training part, as a target and in the
histories of the training rows. Afterwards each item that occurs there at most once gets

    row(i) = freshly initialised row(i) + trained row(token)

in every parameter with one row per item: embedding tables, and output biases, whose rows are numbers. The token takes
the id of the first replaced item, so no model class changes. Items that never occur in the training part are still
negatives of the full softmax while the model trains; their rows are replaced afterwards.

The rule is that of the ID baselines in Li et al., "Text Is All You Need", arXiv 2305.13731.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from recbole.trainer import Trainer
from torch import Tensor, nn

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.errors import UserError


@dataclass(frozen=True)
class ColdItems:
    """The cold items, by RecBole's internal id; 0 is the pad.

    Args:
        token: id of the token, that of the first item that occurs once; None without such an item: then nothing is
            replaced, and a cold item's row is the fresh one alone.
        replacement: [N + 1] int64, the id that training rows hold in place of each id.
        cold: [C] int64, ascending, items that occur at most once in the training part.
        replaced: number of items that the token replaces.
    """

    token: int | None
    replacement: Tensor
    cold: Tensor
    replaced: int


def cold_items(counts: np.ndarray) -> ColdItems:
    """The items that the token replaces, and those whose rows are replaced afterwards.

    Args:
        counts: [N] actions of the training part by catalogue position; the internal id is the position + 1.
    """
    once = torch.from_numpy(np.flatnonzero(counts == 1) + 1)
    cold = torch.from_numpy(np.flatnonzero(counts <= 1) + 1)
    replacement = torch.arange(len(counts) + 1)
    if not len(once):
        return ColdItems(None, replacement, cold, 0)
    replacement[once] = once[0]
    return ColdItems(int(once[0]), replacement, cold, len(once))


class WiderDataset:
    """A dataset with one item more than it has; the parameters that grow with it have one row per item.

    Args:
        dataset: RecBole's.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def num(self, field: str) -> int:
        """Number of distinct tokens of a field, the pad included."""
        return int(self._dataset.num(field)) + (field == self._dataset.iid_field)

    @property
    def item_num(self) -> int:
        """Number of items, the pad included."""
        return self.num(self._dataset.iid_field)


def init_rows(model: nn.Module, wider: nn.Module, n_items: int, cold: Tensor) -> dict[str, Tensor]:
    """Freshly initialised rows of the cold items, in each parameter with one row per item.

    A parameter may have further rows after those of the items, such as BERT4Rec's mask; they are left alone.

    Args:
        model: freshly built, not trained.
        wider: the same class built on WiderDataset.
        n_items: rows of an item table, the pad included.
        cold: [C] int64 internal ids.

    Returns:
        parameter name to [C, ...].

    Raises:
        UserError: a parameter depends on the items in another way, or none has one row per item.
    """
    grown = {name: parameter.shape for name, parameter in wider.named_parameters()}
    rows = {}
    for name, parameter in model.named_parameters():
        shape = parameter.shape
        if grown[name] == shape:
            continue
        if grown[name] != (shape[0] + 1, *shape[1:]) or shape[0] < n_items:
            raise UserError(
                f"cold_token: {type(model).__name__}.{name} does not have one row per item; unset cold_token for it"
            )
        rows[name] = parameter.data[cold].clone()
    if not rows:
        raise UserError(f"cold_token: {type(model).__name__} has no row per item; unset cold_token for it")
    return rows


def apply_cold_rows(
    model: nn.Module, token: int | None, cold: Tensor, fresh: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Sets the cold items' rows to fresh + token, in place.

    Args:
        model: trained.
        token, cold: of ColdItems.
        fresh: of `init_rows`.

    Returns:
        the rows before, in the form of `fresh`.
    """
    parameters = dict(model.named_parameters())
    before = {}
    with torch.no_grad():
        for name, rows in fresh.items():
            table = parameters[name]
            before[name] = table[cold].clone()
            rows = rows.to(table.device)
            table[cold] = rows if token is None else rows + table[token]
    return before


@contextmanager
def cold_rows_applied(model: nn.Module, items: ColdItems, fresh: Mapping[str, Tensor]) -> Iterator[None]:
    """Applies the cold rows within the context, and restores the rows after it."""
    before = apply_cold_rows(model, items.token, items.cold, fresh)
    try:
        yield
    finally:
        apply_cold_rows(model, None, items.cold, before)


class ColdTokenTrainer(Trainer):
    """RecBole's Trainer that validates with the cold rows applied, and trains on without them.

    So early stopping and the choice of the best epoch see what the test evaluation sees.

    Attributes:
        items, fresh: from `cold_items` and `init_rows`; must be set before `fit`.
    """

    items: ColdItems
    fresh: Mapping[str, Tensor]

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> Any:
        with cold_rows_applied(self.model, self.items, self.fresh):
            return super()._valid_epoch(valid_data, show_progress)


def check_cold_token(config: LLMFashionConfig) -> None:
    """Raises UserError if cold_token is set for a model that is not RecBole's own."""
    if config["cold_token"] and config.model_class.__module__.split(".")[0] != "recbole":
        raise UserError(
            f"cold_token: works with RecBole's ID models, such as SASRec, not for {config['model']}; run it apart"
        )
