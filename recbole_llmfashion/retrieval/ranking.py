"""From responses to one order of all items, and which list gave each item its place (docs/method.md, stage 3).

`ResponseLists` computes the lists of a batch once; `rank` joins them by any settings. The evaluator's scores
(model/llmfashionrec.py) and the served lists (serving/) both come from here. An item is a position.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recbole_llmfashion.prompt.response import ParsedResponse, Response
from recbole_llmfashion.retrieval.fusion import TAKEN, fused_order, list_terms, taken_list
from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder, PerRowOrder
from recbole_llmfashion.retrieval.mixup import mixup
from recbole_llmfashion.retrieval.rankers import FUSED_DEPTH, Rankers

FALLBACKS = ("memory", "popularity")
Ranking = Literal["mixup", "id", "title", "clip", "beams", "fusion"]
ENCODER = "encoder"  # the list that only a run with a sentence encoder has
IMAGE = "image"  # the list that only a dataset with pictures has
# the lists of fusion
FUSED = ("beams", "id", "title", ENCODER, "session", "neighbors", "words", IMAGE, "memory", TAKEN)
OF_RESPONSES = ("beams", "id", "title", ENCODER)  # those that a response gives
# The memory answers a query that the log holds by the query's own results, any other query by those of its neighbours.
# How reliable it is differs between the two groups, and so does their share between validation and test.
GROUPS = ("known", "new")
Weights = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class RowContext:
    """What is known of B rows beside their responses.

    Positions in `acted` and `taken` may be those of items that are not ranked, see `rankers.make_rankers`.

    Args:
        recalled: [B, R] int64, the memory's products for each row, positions + 1, 0 for none.
        acted: [B, S] int64, the items of the prompt's actions, positions + 1, 0 for none.
        taken: [B, T] int64, every item that the user clicked or purchased before, oldest first, as `acted`.
        known: [B] bool, whether the log holds the row's last query itself.
    """

    recalled: Tensor
    acted: Tensor
    taken: Tensor
    known: Tensor


@dataclass(frozen=True)
class RankingSettings:
    """How the lists are joined.

    Args:
        ranking: mixup, the paper's; one list alone: "id", "title", "clip" (its ablations 3, 4 and 5); "beams", the
            LLM's likeliest items, then the title list; or "fusion" of FUSED, see `retrieval.fusion`.
        m, k, title_start: of `retrieval.mixup`.
        use_memory: whether the memory's products come first where a response holds nothing that the ranking reads.
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
    """The order of all items for each of B rows.

    Args:
        final: the order; only the part of it that is read is computed.
        by_id: the ID list; any order in a row without an ID.
        positions: [B] int64, the generated item, -1 where there is none.
        has_title: [B] bool.
        recalled: [B, R] int64, the memory's products that the fallback may begin with, positions + 1, 0 for none.
        settings: how the lists were joined.
        lists: the short lists that beams and fusion join, [B, L] positions by name, -1 for none.
        known: [B] bool, see RowContext.
    """

    final: ItemOrder
    by_id: ItemOrder
    positions: Tensor
    has_title: Tensor
    recalled: Tensor
    settings: RankingSettings
    lists: Mapping[str, Tensor] = field(default_factory=dict)
    known: Tensor | None = None

    @property
    def order(self) -> Tensor:
        """[B, N] int64 positions, best first; costs a sort of the catalogue."""
        return self.final.top(self.final.shape[1])

    @property
    def has_id(self) -> Tensor:
        """[B] bool."""
        return self.positions >= 0

    @property
    def falls_back(self) -> Tensor:
        """[B] bool: the response has nothing that the ranking reads, so the memory or popularity gave the list."""
        if self.settings.ranking == "id":
            return ~self.has_id
        if self.settings.ranking == "mixup":
            return ~self.has_id & ~self.has_title
        given = [(items >= 0).any(dim=1) for name, items in self.lists.items() if name in OF_RESPONSES]
        return ~torch.stack([self.has_title, *given]).any(dim=0)

    def list_of(self, row: int, item: int) -> str:
        """Which list gave a row its item: one of FUSED, clip or popularity; of several, the one with most weight."""
        ranking = self.settings.ranking
        if ranking in ("beams", "fusion") and (heaviest := self._heaviest(row, item)):
            return heaviest
        if ranking in ("mixup", "id") and bool(self.has_id[row]):
            alone = ranking == "id" or not bool(self.has_title[row])
            return "id" if alone or item in self.by_id.top(self.settings.m)[row].tolist() else "title"
        if ranking != "id" and bool(self.has_title[row]):
            return "clip" if ranking == "clip" else "title"
        return "memory" if bool((self.recalled[row] == item + 1).any()) else "popularity"

    def _heaviest(self, row: int, item: int) -> str:
        """Of the short lists that hold the item, the one that adds most to its score; empty where none does."""
        weights: Mapping[str, float] = {"beams": 1.0}
        if self.settings.ranking == "fusion":
            weights = self.settings.weights["known" if self.known is not None and bool(self.known[row]) else "new"]
        shares = {
            name: weights.get(name, 0.0) * list_terms(name, items.shape[1])[int(at[0])]
            for name, items in self.lists.items()
            if len(at := torch.nonzero(items[row] == item).flatten())
        }
        return max(shares, key=lambda name: shares[name]) if sum(shares.values()) > 0 else ""


class ResponseLists:
    """The ranked lists of B responses, each computed when it is first read and at most once.

    Args:
        rankers: of the items.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        responses: of B prompts.
        context: what is known of the rows beside their responses.

    Attributes:
        context: as given.
        parsed: the responses' IDs and titles.
        positions: [B] int64, the generated items, -1 where a response names none.
    """

    def __init__(self, rankers: Rankers, tie: Tensor, responses: Sequence[Response], context: RowContext) -> None:
        self._rankers, self._tie, self._responses, self.context = rankers, tie, responses, context
        self._heads: dict[str, Tensor] = {}
        self.parsed: list[ParsedResponse] = [response.parsed for response in responses]
        self.positions = torch.tensor([self._position(response) for response in responses])
        self.has_id = self.positions >= 0
        self.has_title = torch.tensor([parsed.title is not None for parsed in self.parsed])

    def _position(self, response: Response) -> int:
        if response.item is not None:
            return response.item
        return self._rankers.position_of.get(response.parsed.item_token or "", -1)

    @cached_property
    def _by_id(self) -> ItemOrder:
        return self._rankers.id_list(self.positions)

    @cached_property
    def _titles(self) -> list[str]:
        return [parsed.title or "" for parsed in self.parsed]

    @cached_property
    def _by_title(self) -> ItemOrder:
        return self._rankers.title_list(self._titles)

    @cached_property
    def _by_clip(self) -> ItemOrder:
        assert self._rankers.clip_list is not None
        return self._rankers.clip_list(self._titles)

    @cached_property
    def _by_encoder(self) -> ItemOrder:
        assert self._rankers.encoder_list is not None
        return self._rankers.encoder_list(self._titles)

    @cached_property
    def _beams(self) -> Tensor:
        return pad_sequence([torch.tensor(response.items) for response in self._responses], True, -1)

    @cached_property
    def _sources(self) -> dict[str, Callable[[], Tensor]]:
        """The lists that fusion may join here, by name: what computes the heads, [B, L] positions, -1 for none."""
        rankers, context, ranked = self._rankers, self.context, len(self._tie)

        def head(order: ItemOrder, rows: Tensor) -> Tensor:
            return torch.where(rows[:, None], order.top(FUSED_DEPTH), -1)

        sources: dict[str, Callable[[], Tensor]] = {
            "beams": lambda: self._beams[:, :FUSED_DEPTH],
            "id": lambda: head(self._by_id, self.has_id)[:, : rankers.id_depth],
            "title": lambda: head(self._by_title, self.has_title),
        }
        if rankers.encoder_list is not None:
            sources[ENCODER] = lambda: head(self._by_encoder, self.has_title)
        if (by_sequence := rankers.sequence_list) is not None:
            sources["session"] = lambda: head(by_sequence(context.taken - 1), (context.taken > 0).any(dim=1))
        elif (by_session := rankers.session_list) is not None:
            sources["session"] = lambda: head(by_session(context.acted - 1), (context.acted > 0).any(dim=1))
        if (neighbors := rankers.neighbor_list) is not None:
            sources["neighbors"] = lambda: neighbors.top(context.taken - 1, FUSED_DEPTH)
        if (words := rankers.word_list) is not None:
            sources["words"] = lambda: words.top(context.taken - 1, FUSED_DEPTH)
        if (pictures := rankers.image_list) is not None:
            sources[IMAGE] = lambda: pictures.top(context.taken - 1, self.positions, FUSED_DEPTH)
        sources["memory"] = lambda: context.recalled[:, :FUSED_DEPTH] - 1
        return sources | {TAKEN: lambda: taken_list(torch.where(context.taken > ranked, 0, context.taken) - 1)}

    def heads(self, names: Collection[str]) -> dict[str, Tensor]:
        """The short lists that fusion joins, [B, L] positions, -1 for none; each is computed once.

        Args:
            names: of FUSED; those that cannot be had here are left out.
        """
        found = [name for name in self._sources if name in names]
        for name in found:
            if name not in self._heads:
                self._heads[name] = self._sources[name]()
        return {name: self._heads[name] for name in found}

    def _fallback(self, recalled: Tensor) -> ItemOrder:
        return HeadThenRest(recalled - 1, self._rankers.popular(self._tie).repeat(len(self._responses)))

    def rank(self, settings: RankingSettings) -> RankedBatch:
        """Joins the lists to one order of all items for each row."""
        context, ranking = self.context, settings.ranking
        recalled = context.recalled if settings.use_memory else torch.zeros_like(context.recalled)
        fallback = self._fallback(recalled)
        lists: dict[str, Tensor] = {}
        if ranking == "id":
            order = _either(self.has_id, self._by_id, fallback)
        elif ranking == "mixup":
            lengths = (settings.m, settings.k, settings.title_start)
            order = mixup(self._by_id, self._by_title, self.has_id, self.has_title, fallback, *lengths)
        else:
            by_title = self._by_clip if ranking == "clip" else self._by_title
            order = _either(self.has_title, by_title, fallback)
        if ranking == "beams":
            lists = {"beams": self._beams}
            order = HeadThenRest(self._beams, order)
        elif ranking == "fusion":
            groups = settings.weights.values()
            lists = self.heads([name for name in FUSED if any(group.get(name) for group in groups)])
            order = _fused_by_group(order, lists, settings.weights, context.known)
        return RankedBatch(order, self._by_id, self.positions, self.has_title, recalled, settings, lists, context.known)


def _either(has: Tensor, order: ItemOrder, other: ItemOrder) -> ItemOrder:
    """Rows [B] bool of one order, and the other rows of another."""
    return PerRowOrder([(has, order.rows(has)), (~has, other.rows(~has))])


def _fused_by_group(order: ItemOrder, lists: Mapping[str, Tensor], weights: Weights, known: Tensor) -> ItemOrder:
    """The fused items first, then all others as `order` has them; each group of rows by its own weights."""
    joined: list[tuple[Tensor, ItemOrder]] = []
    for group, rows in (("known", known), ("new", ~known)):
        short = {name: items[rows] for name, items in lists.items()}
        joined.append((rows, fused_order(order.rows(rows), short, weights[group])))
    return PerRowOrder(joined)
