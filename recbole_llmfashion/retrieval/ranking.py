"""From answers to one order of the whole catalogue, and which list gave each place (docs/method.md, stage 3).

The one body behind the evaluator's scores (llmfashionrec.py) and what is served (serving/). It knows no prompt, no
RecBole and no training; an item is a catalogue position.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recbole_llmfashion.prompt.response import ParsedResponse, Response
from recbole_llmfashion.retrieval.fusion import CONSTANT, fused_order
from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder, PerRowOrder
from recbole_llmfashion.retrieval.mixup import mixup
from recbole_llmfashion.retrieval.rankers import FUSED_DEPTH, Rankers

FALLBACKS = ("memory", "popularity")
Ranking = Literal["mixup", "id", "title", "clip", "beams", "fusion"]
FUSED = ("beams", "id", "title", "session", "memory")  # the lists of fusion
# A query that the log holds is answered by its own results, any other by its neighbours': how far the memory is to be
# trusted differs, and so does the share of such rows between validation and test.
GROUPS = ("known", "new")
Weights = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class RowContext:
    """What is known of B rows beside their answers.

    Args:
        recalled: [B, R] int64, the memory's products for each row, positions + 1, 0 for none.
        acted: [B, S] int64, the items of the prompt's actions, positions + 1, 0 for none.
        known: [B] bool, whether the log holds the row's last query itself, so that what the memory recalls is that
            query's own.
    """

    recalled: Tensor
    acted: Tensor
    known: Tensor


@dataclass(frozen=True)
class RankingSettings:
    """How the lists are joined.

    Args:
        ranking: mixup, the paper's; one list alone: "id", "title", "clip" (its ablations 3, 4 and 5); "beams", the
            LLM's likeliest items, then the title list; or "fusion" of FUSED, see `retrieval.fusion`.
        m, k, title_start: of `retrieval.mixup`.
        use_memory: whether the memory's products lead where an answer holds neither ID nor title.
        weights: of fusion, by group of rows (GROUPS) and list.
    """

    ranking: Ranking
    m: int
    k: int
    title_start: int
    use_memory: bool
    weights: Weights = field(default_factory=dict)


@dataclass(frozen=True)
class RankedBatch:
    """Every item's place for each row.

    Args:
        final: the order, of which only what is asked for is found.
        by_id: the ID list; any order in a row without an ID.
        positions: [B] int64, the generated item, -1 where there is none.
        has_title: [B] bool.
        recalled: [B, R] int64, the memory's products that may lead the fallback, positions + 1, 0 for none.
        mixing: as it was asked for.
        lists: the short lists that beams and fusion join, [B, L] positions by name, -1 for none.
        known: [B] bool, see RowContext.
    """

    final: ItemOrder
    by_id: ItemOrder
    positions: Tensor
    has_title: Tensor
    recalled: Tensor
    mixing: RankingSettings
    lists: Mapping[str, Tensor] = field(default_factory=dict)
    known: Tensor | None = None

    @property
    def order(self) -> Tensor:
        """[B, N] int64 positions, best first: all of them, which costs a sort of the catalogue."""
        return self.final.top(self.final.shape[1])

    @property
    def has_id(self) -> Tensor:
        """[B] bool."""
        return self.positions >= 0

    def list_of(self, row: int, item: int) -> str:
        """Which list gave a row its item: one of FUSED, clip or popularity; of several the one that weighs most."""
        ranking = self.mixing.ranking
        if ranking in ("beams", "fusion") and (heaviest := self._heaviest(row, item)):
            return heaviest
        if ranking in ("mixup", "id") and bool(self.has_id[row]):
            alone = ranking == "id" or not bool(self.has_title[row])
            return "id" if alone or item in self.by_id.top(self.mixing.m)[row].tolist() else "title"
        if ranking != "id" and bool(self.has_title[row]):
            return "clip" if ranking == "clip" else "title"
        return "memory" if bool((self.recalled[row] == item + 1).any()) else "popularity"

    def _heaviest(self, row: int, item: int) -> str:
        """Of the short lists that hold the item the one that adds most; empty where none does."""
        weights: Mapping[str, float] = {"beams": 1.0}
        if self.mixing.ranking == "fusion":
            weights = self.mixing.weights["known" if self.known is not None and bool(self.known[row]) else "new"]
        worth = {
            name: weights.get(name, 0.0) / (CONSTANT + 1 + int(at[0]))
            for name, found in self.lists.items()
            if len(at := torch.nonzero(found[row] == item).flatten())
        }
        found = max(worth, key=lambda name: worth[name], default="")
        return found if found and worth[found] > 0 else ""


def rank(
    parts: Rankers,
    mixing: RankingSettings,
    tie: Tensor,
    responses: Sequence[Response],
    answers: Sequence[ParsedResponse],
    asked: RowContext,
) -> RankedBatch:
    """Ranks the catalogue for each answer.

    Args:
        tie: [N] int64, see `data.fixed_order.tie_rank`.
        responses: of B prompts.
        answers: as read from their texts.
        asked: what else is known of the rows.
    """
    positions = torch.tensor([parts.position_of.get(answer.item_token or "", -1) for answer in answers])
    by_id = parts.id_list(positions)
    title_list = parts.clip_list if mixing.ranking == "clip" else parts.title_list
    assert title_list is not None
    by_title = title_list([answer.title or "" for answer in answers])
    has_id, has_title = positions >= 0, torch.tensor([answer.title is not None for answer in answers])
    recalled = asked.recalled if mixing.use_memory else torch.zeros_like(asked.recalled)
    fallback = HeadThenRest(recalled - 1, parts.popular(tie).repeat(len(answers)))
    lists: dict[str, Tensor] = {}
    order: ItemOrder
    if mixing.ranking == "id":
        order = _either(has_id, by_id, fallback)
    elif mixing.ranking == "mixup":
        order = mixup(by_id, by_title, has_id, has_title, fallback, mixing.m, mixing.k, mixing.title_start)
    else:
        lists = _short_lists(parts, mixing, responses, asked, (by_id, has_id), (by_title, has_title))
        order = _joined(_either(has_title, by_title, fallback), lists, mixing, asked.known)
    return RankedBatch(order, by_id, positions, has_title, recalled, mixing, lists, asked.known)


def _either(has: Tensor, order: ItemOrder, other: ItemOrder) -> ItemOrder:
    """Rows of one order where there is one, else of another."""
    return PerRowOrder([(has, order.rows(has)), (~has, other.rows(~has))])


def _short_lists(
    parts: Rankers,
    mixing: RankingSettings,
    responses: Sequence[Response],
    asked: RowContext,
    by_id: tuple[ItemOrder, Tensor],
    by_title: tuple[ItemOrder, Tensor],
) -> dict[str, Tensor]:
    """The heads of the lists that beams and fusion join; none for a list alone."""
    if mixing.ranking not in ("beams", "fusion"):
        return {}
    beams = pad_sequence([torch.tensor(response.items) for response in responses], True, -1)
    if mixing.ranking == "beams":
        return {"beams": beams}

    def head(order: ItemOrder, known: Tensor) -> Tensor:
        return torch.where(known[:, None], order.top(FUSED_DEPTH), -1)

    lists = {"beams": beams[:, :FUSED_DEPTH], "id": head(*by_id)[:, : parts.id_depth], "title": head(*by_title)}
    if parts.session_list is not None:
        lists["session"] = head(parts.session_list(asked.acted - 1), (asked.acted > 0).any(dim=1))
    return lists | {"memory": asked.recalled[:, :FUSED_DEPTH] - 1}


def _joined(order: ItemOrder, lists: Mapping[str, Tensor], mixing: RankingSettings, known: Tensor) -> ItemOrder:
    """The whole order: what the short lists hold, then what they do not, as `order` has it."""
    if mixing.ranking == "beams":
        return HeadThenRest(lists["beams"], order)
    if mixing.ranking != "fusion":
        return order
    joined = []
    for group, rows in (("known", known), ("new", ~known)):
        short = {name: found[rows] for name, found in lists.items()}
        joined.append((rows, fused_order(order.rows(rows), short, mixing.weights[group])))
    return PerRowOrder(joined)
