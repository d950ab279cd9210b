"""From answers to one order of the whole catalogue, and which list gave each place (docs/method.md, stage 3).

The one body behind the evaluator's scores (llmfashionrec.py) and what is served (serving/). It knows no prompt, no
RecBole and no training; an item is a catalogue position.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.prompt.response import Answer
from recbole_llmfashion.retrieval.mixup import mixup
from recbole_llmfashion.retrieval.ties import order_by_score

FALLBACKS = ("memory", "popularity")
Ranking = Literal["mixup", "id", "title", "clip"]
Ranker = Callable[[Tensor], Tensor]  # [B] item positions to [B, N] positions, best first


@dataclass
class Parts:
    """What the stages made.

    Args:
        answer: prompts (int32 arrays) to response texts.
        position_of: item token as it stands in a response -> catalogue position.
        id_list, title_list: rank the catalogue for an ID, for a title.
        clip_list: as title_list by the CLIP tower, where `ranking` asks for it.
        popularity: [N] training actions by catalogue position, the last fallback; zeros leave the fixed order.
    """

    answer: Callable[[Sequence[np.ndarray]], list[str]]
    position_of: dict[str, int]
    id_list: Ranker
    title_list: Callable[[Sequence[str]], Tensor]
    popularity: np.ndarray
    clip_list: Callable[[Sequence[str]], Tensor] | None = None


@dataclass(frozen=True)
class Mixing:
    """How the lists are joined.

    Args:
        ranking: mixup, or one list alone: "id", "title", "clip" (the paper's ablations 3, 4 and 5).
        m, k, title_start: of `retrieval.mixup`.
        use_memory: whether the memory's products lead where an answer holds neither ID nor title.
    """

    ranking: Ranking
    m: int
    k: int
    title_start: int
    use_memory: bool


@dataclass(frozen=True)
class Ranked:
    """Every item's place for each row.

    Args:
        order: [B, N] int64 positions, best first.
        id_order: [B, N] int64, the ID list; any order in a row without an ID.
        positions: [B] int64, the generated item, -1 where there is none.
        has_title: [B] bool.
        recalled: [B, R] int64, the memory's products that may lead the fallback, positions + 1, 0 for none.
        mixing: as it was asked for.
    """

    order: Tensor
    id_order: Tensor
    positions: Tensor
    has_title: Tensor
    recalled: Tensor
    mixing: Mixing

    @property
    def has_id(self) -> Tensor:
        """[B] bool."""
        return self.positions >= 0

    def list_of(self, row: int, item: int) -> str:
        """Which list gave a row its item: id, title, clip, memory or popularity."""
        ranking = self.mixing.ranking
        if ranking in ("mixup", "id") and bool(self.has_id[row]):
            alone = ranking == "id" or not bool(self.has_title[row])
            return "id" if alone or item in self.id_order[row, : self.mixing.m].tolist() else "title"
        if ranking != "id" and bool(self.has_title[row]):
            return "clip" if ranking == "clip" else "title"
        return "memory" if bool((self.recalled[row] == item + 1).any()) else "popularity"


def rank(parts: Parts, mixing: Mixing, tie: Tensor, answers: Sequence[Answer], recalled: Tensor) -> Ranked:
    """Ranks the catalogue for each answer.

    Args:
        tie: [N] int64, see `data.fixed_order.tie_rank`.
        answers: B answers as read from the responses.
        recalled: [B, R] int64, the memory's products for each row, positions + 1, 0 for none.
    """
    positions = torch.tensor([parts.position_of.get(answer.item_token or "", -1) for answer in answers])
    id_order = parts.id_list(positions)
    by_title = parts.clip_list if mixing.ranking == "clip" else parts.title_list
    assert by_title is not None
    title_order = by_title([answer.title or "" for answer in answers])
    has_id, has_title = positions >= 0, torch.tensor([answer.title is not None for answer in answers])
    recalled = recalled if mixing.use_memory else torch.zeros_like(recalled)
    fallback, lacking = id_order.clone(), ~(has_id & has_title)
    if lacking.any():
        fallback[lacking] = fallback_order(parts.popularity, recalled[lacking], tie)
    if mixing.ranking == "id":
        order = torch.where(has_id[:, None], id_order, fallback)
    elif mixing.ranking in ("title", "clip"):
        order = torch.where(has_title[:, None], title_order, fallback)
    else:
        order = mixup(id_order, title_order, has_id, has_title, fallback, mixing.m, mixing.k, mixing.title_start)
    return Ranked(order, id_order, positions, has_title, recalled, mixing)


def fallback_order(popularity: np.ndarray, recalled: Tensor, tie: Tensor) -> Tensor:
    """[B, N] the recalled products in their order, then popularity, then the fixed order.

    Args:
        popularity: [N].
        recalled: [B, R] int64, positions + 1, 0 for none.
        tie: [N] int64.
    """
    score = torch.from_numpy(popularity).double().repeat(len(recalled), 1)
    lead = score.max() + torch.arange(recalled.shape[1], 0, -1).double().expand(recalled.shape)
    padded = torch.cat([torch.zeros_like(score[:, :1]), score], dim=1).scatter(1, recalled, lead)
    return order_by_score(padded[:, 1:], tie)


@dataclass
class Validity:
    """Counts over answers: nothing that went wrong is silent.

    `fallback` counts the rows in which at least one list could not be made from the answer.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, answers: Sequence[Answer], ranked: Ranked, shown: Tensor) -> None:
        """Counts B answers; `shown` [B, S] int64 are the items of their prompts, positions + 1, 0 for none."""
        has_id, has_title = ranked.has_id, ranked.has_title
        neither = ~has_id & ~has_title
        has_memory = (ranked.recalled > 0).any(dim=1)
        self.counts.update(
            answers=len(answers),
            format=sum(answer.well_formed for answer in answers),
            valid_id=int(has_id.sum()),
            in_prompt=int((has_id & (shown == ranked.positions[:, None] + 1).any(dim=1)).sum()),
            fallback=int((~has_id | ~has_title).sum()),
            no_id_list=int((~has_id & has_title).sum()),
            no_title_list=int((has_id & ~has_title).sum()),
            memory_list=int((neither & has_memory).sum()),
            popularity_list=int((neither & ~has_memory).sum()),
        )

    def rates(self) -> dict[str, float]:
        """Shares of all answers, and what each fallback did."""
        total = max(1, self.counts["answers"])
        names = (
            "format",
            "valid_id",
            "fallback",
            "in_prompt",
            "no_id_list",
            "no_title_list",
            "memory_list",
            "popularity_list",
        )
        return {f"{name}_rate": self.counts[name] / total for name in names}
