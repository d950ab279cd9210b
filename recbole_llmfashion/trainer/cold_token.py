"""The cold token: what lets an ID model say something about items that it has hardly seen (docs/method.md, cold-start).

In training one shared token stands in place of every item that the training part holds once, as a target and in the
histories of the training rows. Afterwards each item that the training part holds at most once is given

    row(i) = freshly initialised row(i) + trained row(token)

in every parameter that has a row an item: embedding tables, and output biases, whose rows are numbers. The token
borrows the id of the first of the replaced items, so no model class changes. Items that the training part never holds
are still negatives of the full softmax while the model trains; what that makes of their rows is thrown away.

The rule is that of the ID baselines in Li et al., "Text Is All You Need", arXiv 2305.13731. This module does not know
which model it serves, what a row of the data is, or where weights are kept.
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
    """Which items are cold, by RecBole's internal id, 0 the pad.

    Args:
        token: the id that the token borrows, of the first item that is seen once; None where there is no such item,
            and then nothing is replaced and a cold item's row is the fresh one alone.
        stands_for: [N + 1] int64, the id that a training row holds for each id.
        cold: [C] int64, ascending, items that the training part holds at most once.
        replaced: how many items the token stands for.
    """

    token: int | None
    stands_for: Tensor
    cold: Tensor
    replaced: int


def cold_items(counts: np.ndarray) -> ColdItems:
    """Which items the token replaces and which are finished afterwards.

    Args:
        counts: [N] actions of the training part by catalogue position; the internal id is the position + 1.
    """
    once = torch.from_numpy(np.flatnonzero(counts == 1) + 1)
    cold = torch.from_numpy(np.flatnonzero(counts <= 1) + 1)
    stands_for = torch.arange(len(counts) + 1)
    if not len(once):
        return ColdItems(None, stands_for, cold, 0)
    stands_for[once] = once[0]
    return ColdItems(int(once[0]), stands_for, cold, len(once))


class WiderDataset:
    """A dataset that claims one item more than it has: the parameters that grow with it have a row an item.

    Args:
        dataset: RecBole's.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def num(self, field: str) -> int:
        """Distinct tokens of a field, the pad included."""
        return int(self._dataset.num(field)) + (field == self._dataset.iid_field)

    @property
    def item_num(self) -> int:
        """The same of the items."""
        return self.num(self._dataset.iid_field)


def init_rows(model: nn.Module, wider: nn.Module, n_items: int, cold: Tensor) -> dict[str, Tensor]:
    """Freshly initialised rows of the cold items, in each parameter that has a row an item.

    A parameter may have further rows behind those of the items, as BERT4Rec's mask; they are none of ours.

    Args:
        model: built anew and not trained.
        wider: the same class built on WiderDataset.
        n_items: rows of an item table, the pad included.
        cold: [C] int64 internal ids.

    Returns:
        parameter name to [C, ...].

    Raises:
        UserError: a parameter knows the items otherwise than by one row each, or none knows them.
    """
    grown = {name: parameter.shape for name, parameter in wider.named_parameters()}
    rows = {}
    for name, parameter in model.named_parameters():
        shape = parameter.shape
        if grown[name] == shape:
            continue
        if grown[name] != (shape[0] + 1, *shape[1:]) or shape[0] < n_items:
            raise UserError(
                f"cold_token: {type(model).__name__}.{name} has not one row an item; train that model without the key"
            )
        rows[name] = parameter.data[cold].clone()
    if not rows:
        raise UserError(f"cold_token: {type(model).__name__} has no row an item; train that model without the key")
    return rows


def apply_cold_rows(
    model: nn.Module, token: int | None, cold: Tensor, fresh: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Gives the cold items their rows, fresh + token's, in place.

    Args:
        model: trained.
        token, cold: of ColdItems.
        fresh: of `init_rows`.

    Returns:
        the rows that stood there, as `fresh` has them.
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
    """The model with its cold rows finished, for as long as the context lasts."""
    before = apply_cold_rows(model, items.token, items.cold, fresh)
    try:
        yield
    finally:
        apply_cold_rows(model, None, items.cold, before)


class ColdTokenTrainer(Trainer):
    """RecBole's Trainer that validates the model as it would be finished, and goes on training it as it was.

    Early stopping and the choice of the best epoch thus see what the evaluation of the test rows sees: histories and
    targets as they are, and the finished rows.

    Attributes:
        items, fresh: of `cold_items` and `init_rows`; set before `fit`.
    """

    items: ColdItems
    fresh: Mapping[str, Tensor]

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> Any:
        with cold_rows_applied(self.model, self.items, self.fresh):
            return super()._valid_epoch(valid_data, show_progress)


def check_cold_token(config: LLMFashionConfig) -> None:
    """Raises UserError where cold_token is asked of a model that is not RecBole's own."""
    if config["cold_token"] and config.model_class.__module__.split(".")[0] != "recbole":
        raise UserError(
            f"cold_token: is for RecBole's ID models, such as SASRec, and not for {config['model']}; run those apart"
        )
