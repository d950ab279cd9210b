"""One hook in RecBole's evaluation loop for every model: the rank of each user's target over the full catalogue.

RecBole's Collector and Evaluator do the rest. A tie is broken by a fixed hash of the item's token, never by its id
(a tie broken by id has inflated published results by a fifth). This module does not know what made the scores.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.evaluator import Collector

from recbole_llmfashion.retrieval.ties import rank_of

RANK_COLUMNS = ["user", "target", "rank", "top"]


class HeadCollector(Collector):
    """RecBole's Collector without its matrix of users by items: a row has one target.

    Where the metrics read no more than the heads of the lists (Recall, NDCG, MRR, Hit, Precision, MAP), these alone are
    kept, and are the same numbers; any other metric gets RecBole's own collection.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._length = max(config["topk"])
        others = ("rec.items", "rec.meanrank", "rec.score", "data.label")
        self._heads_alone = self.register.need("rec.topk") and not any(map(self.register.need, others))

    def eval_batch_collect(
        self, scores_tensor: torch.Tensor, interaction: Any, positive_u: torch.Tensor, positive_i: torch.Tensor
    ) -> None:
        """Adds a batch: scores [B, N + 1], and the target of each row in its order."""
        self._collect(scores_tensor, interaction, positive_u, positive_i)

    def _collect(
        self, scores: torch.Tensor, interaction: Any, users: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        """Adds a batch; [B, K] the heads of its lists."""
        heads = scores.topk(self._length, dim=1).indices
        if self._heads_alone:
            hits = (heads == target.to(heads.device)[:, None]).int()
            self.data_struct.update_tensor("rec.topk", torch.cat([hits, torch.ones_like(hits[:, :1])], dim=1))
        else:
            super().eval_batch_collect(scores, interaction, users, target)
        return heads


class RankCollector(HeadCollector):
    """A HeadCollector that also keeps (user, target, rank) and the head of the list.

    Args:
        config: RecBole's.
        tie_rank: [N] by catalogue position; the pad row gets the last place.
    """

    def __init__(self, config: Any, tie_rank: np.ndarray) -> None:
        super().__init__(config)
        self._tie = torch.from_numpy(np.r_[len(tie_rank), tie_rank])
        self._rows: list[torch.Tensor] = []

    def eval_batch_collect(
        self, scores_tensor: torch.Tensor, interaction: Any, positive_u: torch.Tensor, positive_i: torch.Tensor
    ) -> None:
        """As HeadCollector, then the ranks of this batch."""
        head = self._collect(scores_tensor, interaction, positive_u, positive_i).T
        target = positive_i.to(scores_tensor.device)
        rank = rank_of(scores_tensor, target, self._tie.to(scores_tensor.device))
        users = interaction[self.config["USER_ID_FIELD"]]
        self._rows.append(torch.cat([torch.stack([users.cpu(), positive_i.cpu(), rank.cpu()]), head.cpu()]))

    def take_ranks(self) -> pd.DataFrame:
        """Columns user, target (internal ids), rank (from 1), top (arrays of internal ids) since the last call."""
        rows = torch.cat(self._rows, dim=1).numpy() if self._rows else np.zeros((3 + self._length, 0), np.int64)
        self._rows = []
        frame = pd.DataFrame(rows[:3].T, columns=RANK_COLUMNS[:3])
        return frame.assign(top=list(rows[3:].T))


def full_rank_mrr(ranks: pd.DataFrame) -> float:
    """Mean of 1 / rank over the full catalogue, untruncated; nan where there is no row."""
    return float((1.0 / ranks["rank"]).mean())
