"""Collectors for RecBole's evaluation loop: the rank of each user's target over the full catalogue.

RecBole's Evaluator computes the metrics. Ties are broken by a fixed hash of the item token, never by item id, in the
metrics as in the ranks: RecBole's own collector takes what `torch.topk` finds first, often the smallest id, and
breaking ties by id has inflated published results by a fifth. Without ties the metrics are RecBole's. Metrics need only
the first items of a row and the rank of its target, so a model may return an `ItemOrder` per row instead of scores for
the whole catalogue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.evaluator import Collector
from recbole.evaluator.collector import DataStruct

from recbole_llmfashion.data.eval_loader import heads_alone
from recbole_llmfashion.retrieval.item_order import ItemOrder, drop_duplicates, rank_among, top_without
from recbole_llmfashion.retrieval.ties import head_by_score, rank_of

RANK_COLUMNS = ["user", "target", "rank", "top"]


@dataclass(frozen=True)
class Ordered:
    """Takes the place of the scores [B, N + 1] in RecBole's evaluation loop.

    Args:
        order: orders of catalogue positions, [B, N].
        left_out: [B, X] int64 positions to move to the end, padded with -1.
        tie: [N] int64, see `tie_rank`.
    """

    order: ItemOrder
    left_out: torch.Tensor
    tie: torch.Tensor

    def heads(self, k: int) -> torch.Tensor:
        """[B, k] RecBole's internal ids of the first k items."""
        return top_without(self.order, k, self.left_out, self.tie) + 1

    def ranks(self, target: torch.Tensor) -> torch.Tensor:
        """[B] ranks, from 1, of the targets [B] (RecBole's internal ids)."""
        return rank_among(self.order, target.cpu() - 1, self.left_out, self.tie)


Scores = torch.Tensor | Ordered


class OrderedEvaluation:
    """Mixin for RecBole's Trainer that evaluates item orders instead of scores [B, N + 1].

    Orders are used after a call of `evaluate_orders`, if all metrics need only the heads of the lists and the ranks
    (`HeadCollector.heads_alone`).
    """

    _ordered: Callable[[Any], ItemOrder] | None = None
    _order_tie: torch.Tensor

    def evaluate_orders(self, ordered: Callable[[Any], ItemOrder], tie: torch.Tensor) -> None:
        """Makes later evaluations use orders.

        Args:
            ordered: maps RecBole's interaction to orders of catalogue positions.
            tie: [N] int64, see `tie_rank`.
        """
        self._ordered, self._order_tie = ordered, tie

    def _full_sort_batch_eval(self: Any, batched_data: Any) -> Any:
        """RecBole's hook; returns (interaction, scores or an Ordered, users, targets) of a batch."""
        if self._ordered is None or not self.eval_collector.heads_alone:
            return super()._full_sort_batch_eval(batched_data)  # type: ignore[misc]  # RecBole's Trainer
        interaction, history, positive_u, positive_i = batched_data
        order = self._ordered(interaction.to(self.device))
        return (
            interaction,
            Ordered(order, history_rows(history, len(interaction)), self._order_tie),
            positive_u,
            positive_i,
        )


def history_rows(history: tuple[torch.Tensor, torch.Tensor] | None, rows: int) -> torch.Tensor:
    """[B, X] catalogue positions of (row, internal id) pairs, without duplicates, padded with -1."""
    if history is None:
        return torch.empty(rows, 0, dtype=torch.int64)
    row, item = history[0].cpu(), history[1].cpu()
    counts = torch.bincount(row, minlength=rows)
    place = torch.arange(len(row)) - (counts.cumsum(dim=0) - counts)[row]
    positions = torch.full((rows, int(counts.max()) if len(row) else 0), -1)
    positions[row, place] = item - 1
    return drop_duplicates(positions)


class HeadCollector(Collector):
    """RecBole's Collector without its users x items matrix, since each row has one target.

    If the metrics need only the first items of each list, only these are kept, with RecBole's results where no scores
    are equal. For GAUC, which needs the rank of the target in the whole list, RecBole's own collection is used.

    Args:
        config: RecBole's.
        tie_rank: [N] place among equal scores by catalogue position; the padding item gets the last one.
    """

    def __init__(self, config: Any, tie_rank: np.ndarray) -> None:
        super().__init__(config)
        self._tie = torch.from_numpy(np.r_[len(tie_rank), tie_rank])
        self._length = max(config["topk"])
        self.heads_alone = heads_alone(self.register)

    def eval_batch_collect(
        self,
        scores_tensor: Scores,
        interaction: Any,
        positive_u: torch.Tensor,
        positive_i: torch.Tensor,
    ) -> None:
        """Adds a batch: scores [B, N + 1] or an Ordered, and the target of each row."""
        self._collect(scores_tensor, interaction, positive_u, positive_i)

    def _collect(self, scores: Scores, interaction: Any, users: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Adds a batch and returns the heads of its lists, [B, K]."""
        k = self._length
        if isinstance(scores, Ordered):
            heads = scores.heads(k)
        else:
            heads = head_by_score(scores, self._tie.to(scores.device), k)
        if not self.heads_alone:
            super().eval_batch_collect(scores, interaction, users, target)
            return heads
        if self.register.need("rec.items"):
            self.data_struct.update_tensor("rec.items", heads)
        if self.register.need("rec.topk"):
            hits = (heads == target.to(heads.device)[:, None]).int()
            self.data_struct.update_tensor("rec.topk", torch.cat([hits, torch.ones_like(hits[:, :1])], dim=1))
        return heads

    def get_data_struct(self) -> DataStruct:
        """What was collected, on the CPU; the rows' part of it is forgotten here.

        RecBole 1.2.1 moves numbers and counters of the training data to the CPU as if they were tensors, and fails for
        ItemCoverage, AveragePopularity, GiniIndex and TailPercentage. No upstream issue is known.
        """
        collected = DataStruct()
        for name, value in list(self.data_struct._data_dict.items()):
            of_rows = isinstance(value, torch.Tensor)
            collected.set(name, value.cpu() if of_rows else value)
            if of_rows:
                del self.data_struct[name]
        return collected


class RankCollector(HeadCollector):
    """A HeadCollector that also keeps user, target, rank and the head of the list for each row.

    Args:
        config, tie_rank: see HeadCollector.
    """

    def __init__(self, config: Any, tie_rank: np.ndarray) -> None:
        super().__init__(config, tie_rank)
        self._rows: list[torch.Tensor] = []

    def eval_batch_collect(
        self,
        scores_tensor: Scores,
        interaction: Any,
        positive_u: torch.Tensor,
        positive_i: torch.Tensor,
    ) -> None:
        """Adds a batch as HeadCollector does, and its ranks."""
        head = self._collect(scores_tensor, interaction, positive_u, positive_i).T
        if isinstance(scores_tensor, Ordered):
            rank = scores_tensor.ranks(positive_i)
        else:
            device = scores_tensor.device
            rank = rank_of(scores_tensor, positive_i.to(device), self._tie.to(device))
        users = interaction[self.config["USER_ID_FIELD"]]
        self._rows.append(torch.cat([torch.stack([users.cpu(), positive_i.cpu(), rank.cpu()]), head.cpu()]))

    def take_ranks(self) -> pd.DataFrame:
        """Rows collected since the last call.

        Returns:
            columns user and target (internal ids), rank (from 1), top (array of internal ids).
        """
        rows = torch.cat(self._rows, dim=1).numpy() if self._rows else np.zeros((3 + self._length, 0), np.int64)
        self._rows = []
        frame = pd.DataFrame(rows[:3].T, columns=RANK_COLUMNS[:3])
        return frame.assign(top=list(rows[3:].T))


def full_rank_mrr(ranks: pd.DataFrame) -> float:
    """Mean of 1 / rank over the full catalogue, without a cutoff; nan for an empty frame.

    Example:
        >>> full_rank_mrr(pd.DataFrame({"rank": [1, 2, 4]}))
        0.5833333333333334
    """
    return float((1.0 / ranks["rank"]).mean())
