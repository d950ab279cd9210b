"""Builds prompts from a user's events: every text is tokenized once, and a prompt is a concatenation of cached ids.

    <bos?> instruction  action  action ..  memory  product ..  date of the recommendation  start of the response

The instruction mentions the memory's products only if the prompt has some. Each piece (pieces/) starts with a space or
a line break, so the concatenated ids are those of the concatenated text (template.py). An item's ID is text or item
tokens (item_tokens.py). Prompt and response together have at most `max_length` tokens; the text of one action may have
a part of them only, and if necessary the oldest actions are dropped (docs/method.md, stage 1). The builder receives the
events before a target and never the target.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.timeline import CLICK, PURCHASE, SEARCH, Events
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.item_tokens import ItemDecoder, ItemTokens
from recbole_llmfashion.prompt.memory import QueryProductMemory
from recbole_llmfashion.prompt.pieces.actions import ActionPieces
from recbole_llmfashion.prompt.pieces.cells import CellTokenizer
from recbole_llmfashion.prompt.pieces.dates import DatePieces
from recbole_llmfashion.prompt.pieces.items import ItemPieces, TextLimits
from recbole_llmfashion.prompt.pieces.queries import QueryPieces
from recbole_llmfashion.prompt.response import ID_PREFIX, SEPARATOR
from recbole_llmfashion.prompt.template import Template, get_template

LEAST_ROOM = 64  # tokens for actions, memory and date


@dataclass(frozen=True)
class PromptSettings:
    """What a prompt contains.

    Args:
        attributes: item attributes shown after the title; none for the paper's ablation 1.
        max_length: maximum number of tokens of prompt and response together.
        max_new_tokens: tokens reserved for the response.
        dates: whether the timestamps are dates and are shown.
        recalled: maximum number of products of the memory in a prompt.
        item_text: whether an item's title and attributes are shown after its ID.
    """

    attributes: tuple[str, ...]
    max_length: int
    max_new_tokens: int
    dates: bool
    recalled: int = 5
    item_text: bool = True


@dataclass(frozen=True)
class Prompt:
    """A prompt and its contents.

    Args:
        ids: int32 [P], P <= max_length - max_new_tokens.
        items: catalogue positions of the items in the prompt: those of the actions, oldest first, then the memory's.
        acted: how many of `items` belong to actions.
        id_positions: int64 positions in `ids` of the ID tokens of actions, ascending; without those of the memory.
        memory: start and end of the memory's lines in `ids`; equal if there are none.
        dropped: number of oldest events that did not fit.
        shortened: number of actions whose text is cut.
    """

    ids: np.ndarray
    items: list[int]
    acted: int
    id_positions: np.ndarray
    memory: tuple[int, int]
    dropped: int
    shortened: int


@dataclass(frozen=True)
class PromptRow:
    """A row as the LLM and the ranking read it.

    Args:
        prompt: for the LLM.
        recalled: catalogue positions of the memory's products for the last query, best first.
        taken: catalogue positions of every item action before the row, oldest first; the prompt may show fewer.
        query_known: whether the log holds the last query itself.
    """

    prompt: Prompt
    recalled: list[int]
    taken: list[int]
    query_known: bool


class PromptBuilder:
    """Builds the prompts and responses of one dataset as token ids.

    Args:
        tokenizer: a fast tokenizer of transformers.
        template: the fixed words of a prompt.
        catalogue: item IDs and texts.
        queries: query texts by query index.
        query_of_search: [S] query index of each search event.
        memory: the query-product memory; None if the log has no queries.
        settings: see PromptSettings.
        item_tokens: token ids of the items; None to write each item's ID as text.

    Attributes:
        item_names: by catalogue position, the ID as it appears in text.
        item_ids: by catalogue position, the token ids of the ID.
        id_prefix, separator: token ids before and after the ID of a response.

    Raises:
        UserError: max_length has no room for the instruction and one action, or max_new_tokens none for the longest ID.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: Template,
        catalogue: Catalogue,
        queries: Sequence[str],
        query_of_search: np.ndarray,
        memory: QueryProductMemory | None,
        settings: PromptSettings,
        item_tokens: ItemTokens | None = None,
    ) -> None:
        self.template, self.memory, self.settings, self._tokenizer = template, memory, settings, tokenizer
        self.item_tokens = item_tokens
        self._cells = CellTokenizer(tokenizer)
        verbs = {CLICK: template.clicked, PURCHASE: template.purchased, SEARCH: template.searched}
        self._verbs = list(self._cells.words([verbs[kind] for kind in sorted(verbs)]))
        self._memory_head, self._answer = self._cells.words([template.memory, template.answer])
        instructions = self._cells.words([template.instruction_without_memory, template.instruction])
        self._instructions = [np.r_[self._bos(), ids].astype(np.int32) for ids in instructions]
        self._dates = DatePieces(self._cells, template) if settings.dates else None
        self._budget = settings.max_length - settings.max_new_tokens
        self.text_limits = TextLimits.of_room(self._room())
        attributes = settings.attributes if settings.item_text else None
        self._items = ItemPieces(self._cells, template, catalogue, attributes, item_tokens, self.text_limits)
        self.item_names, self.item_ids = self._items.names, self._items.ids
        self.id_prefix, self.separator = self._cells.words([ID_PREFIX, SEPARATOR])
        self._check_room_for_ids()
        self._set_queries(queries, query_of_search)

    def _room(self) -> int:
        """The tokens for actions, memory and date."""
        fixed = len(self._instructions[True]) + len(self._answer)
        if self._budget < fixed + LEAST_ROOM:
            new = self.settings.max_new_tokens
            raise UserError(
                f"max_length: expected {fixed + LEAST_ROOM + new} or more (prompt_template "
                f"'{self.template.name}' and max_new_tokens {new}), found {self.settings.max_length}"
            )
        return self._budget - fixed

    def _set_queries(self, queries: Sequence[str], query_of_search: np.ndarray, shortened: Sequence[bool] = ()) -> None:
        self._queries = QueryPieces(self._cells, queries, query_of_search, self.text_limits.cell, shortened)
        self._actions = ActionPieces(self._verbs, self._items, self._queries, self._dates)

    def with_queries(
        self,
        queries: Sequence[str],
        query_of_search: np.ndarray,
        memory: QueryProductMemory | None,
        shortened: Sequence[bool] = (),
    ) -> "PromptBuilder":
        """A builder for other searches that shares the tokenized items.

        Args:
            queries, query_of_search, memory: as in the constructor.
            shortened: by query index, whether the end of the query was left out before.
        """
        other = copy(self)
        other._set_queries(queries, query_of_search, shortened)
        other.memory = memory
        return other

    @property
    def shortened_texts(self) -> tuple[int, int]:
        """The numbers of queries and of items whose text is cut."""
        return int(self._queries.shortened.sum()), int(self._items.shortened.sum())

    @property
    def decoder(self) -> Any:
        """Decodes generated ids: the tokenizer, or an ItemDecoder if there are item tokens."""
        if self.item_tokens is None:
            return self._tokenizer
        return ItemDecoder(self._tokenizer, self.item_ids, self.item_names, self.item_tokens.first)

    @cached_property
    def position_of(self) -> dict[str, int]:
        """Item token as responses write it -> catalogue position."""
        return {name: position for position, name in enumerate(self.item_names)}

    @property
    def allowed_ids(self) -> list[list[int]]:
        """By catalogue position, the tokens allowed after `id_prefix` in a response: the ID and the separator."""
        return [[*ids, *self.separator] for ids in self.item_ids]

    def _bos(self) -> list[int]:
        bos = self._tokenizer.bos_token_id
        begins = self._tokenizer("a")["input_ids"][:1]
        return [bos] if bos is not None and begins == [bos] else []

    def _check_room_for_ids(self) -> None:
        head = len(self.id_prefix) + len(self.separator) + 2
        longest, found = int(self.item_ids.lengths.max(initial=0)) + head, self.settings.max_new_tokens
        if longest > found:
            raise UserError(f"max_new_tokens: expected {longest} or more for the longest item ID, found {found}")

    def response(self, position: int) -> np.ndarray:
        """int32 [R], the response for an item, ending with eos; the title is cut to fit max_new_tokens."""
        head = [self.id_prefix, self.item_ids[position], self.separator]
        room = self.settings.max_new_tokens - sum(map(len, head)) - 1
        eos = np.asarray([self._tokenizer.eos_token_id], np.int32)
        return np.concatenate([*head, self._items.title_start(position, room), eos])

    def response_id(self, position: int) -> np.ndarray:
        """int32 [R], the ID of a response, which follows `id_prefix`; an ID as text ends with the separator."""
        end = self.separator if self.item_tokens is None else self.separator[:0]
        return np.concatenate([self.item_ids[position], end])

    def memory_products(self, events: Events, training: bool) -> list[int]:
        """Catalogue positions of the memory's products for the last search.

        Args:
            events: the events before the target.
            training: whether to ignore what this search event itself contributed to the memory.
        """
        last = events.last_search()
        if self.memory is None or last < 0:
            return []
        return self.memory.top_products(self._queries.text(last), last if training else -1)

    def knows(self, events: Events) -> bool:
        """Whether the memory has exactly the query of the last search."""
        last = events.last_search()
        return self.memory is not None and last >= 0 and self.memory.knows(self._queries.text(last))

    def row(self, events: Events, now: float, training: bool = False) -> PromptRow:
        """The prompt of a user's events with what the ranking needs beside it.

        Args:
            events: before the recommendation.
            now: seconds, the moment of the recommendation.
            training: whether the memory leaves out the events' own search, see `memory_products`.
        """
        recalled = self.memory_products(events, training)
        return PromptRow(self.encode(events, now, recalled), recalled, events.items(), self.knows(events))

    def encode(self, events: Events, now: float, recalled: Sequence[int]) -> Prompt:
        """Builds one prompt.

        Args:
            events: all events before the target, oldest first.
            now: time of the recommendation, in seconds since 1970.
            recalled: catalogue positions of the memory's products, see `memory_products`.
        """
        tail = [self._answer] if self._dates is None else [self._dates.moment(now), self._answer]
        room = self._budget - sum(map(len, tail))
        recalled = recalled[: self.settings.recalled]
        lines: list[np.ndarray] = []
        if recalled:
            free = room - len(self._instructions[True])
            lines = self._memory_lines(recalled, min(free // 2, free - self._actions.newest_length(events)))
        instruction = self._instructions[bool(lines)]
        room -= len(instruction) + sum(map(len, lines))
        actions = self._actions.newest(events, room)
        start = len(instruction) + sum(map(len, actions.pieces))
        return Prompt(
            ids=np.concatenate([instruction, *actions.pieces, *lines, *tail]),
            items=[*actions.items, *recalled[: max(0, len(lines) - 1)]],
            acted=len(actions.items),
            id_positions=len(instruction) + actions.id_positions,
            memory=(start, start + sum(map(len, lines))),
            dropped=actions.dropped,
            shortened=actions.shortened,
        )

    def _memory_lines(self, products: Sequence[int], room: int) -> list[np.ndarray]:
        """The heading and the lines of the memory's products, as many as fit into `room` tokens."""
        lines = [self._items.products[position] for position in products]
        while lines and len(self._memory_head) + sum(map(len, lines)) > room:
            lines.pop()
        return [self._memory_head, *lines] if lines else []


def make_builder(
    tokenizer: Any, template: str, catalogue: Catalogue, settings: PromptSettings, item_tokens: ItemTokens | None
) -> PromptBuilder:
    """A builder for the items of a catalogue, without searches; `with_queries` adds them.

    Args:
        template: name of the prompt template.
        tokenizer, catalogue, settings, item_tokens: see PromptBuilder.
    """
    no_searches = np.zeros(0, np.int64)
    return PromptBuilder(tokenizer, get_template(template), catalogue, (), no_searches, None, settings, item_tokens)
