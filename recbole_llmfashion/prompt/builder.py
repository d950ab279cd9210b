"""A user's events as token ids: every text is tokenized once, a prompt is put together from cached ids.

    <bos?> instruction  action  action ..  memory  product ..  moment  answer mark

An action is three pieces: its word, its item or query, its date. A piece begins with a space or a line break, so the
joined ids are those of the joined text (template.py). An item's ID is its token as text, or what an item index has in
its place. Prompt and response together stay within `max_length`; where they would not, whole actions are dropped,
oldest first (docs/method.md, stage 1). The builder is told what lies before a target; it never sees the target.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.timeline import CLICK, PURCHASE, SEARCH, Events
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.dates import DAY, coarse_date
from recbole_llmfashion.prompt.item_tokens import ItemDecoder, ItemTokens
from recbole_llmfashion.prompt.memory import QueryProductMemory
from recbole_llmfashion.prompt.ragged import Ragged
from recbole_llmfashion.prompt.response import ID_PREFIX, SEPARATOR
from recbole_llmfashion.prompt.template import Template, prompt_safe_ids
from recbole_llmfashion.prompt.texts import UNTITLED, sanitize


@dataclass(frozen=True)
class PromptSettings:
    """What a prompt shows.

    Args:
        attributes: which item attributes stand behind the title; none for the paper's ablation 1.
        max_length: tokens of prompt and response together.
        max_new_tokens: tokens kept for the response.
        dates: whether timestamps are dates.
        recalled: most products of the memory that a prompt shows; the memory may know more.
        item_text: whether an item's title and attributes stand behind its ID.
    """

    attributes: tuple[str, ...]
    max_length: int
    max_new_tokens: int
    dates: bool
    recalled: int = 5
    item_text: bool = True


@dataclass(frozen=True)
class Prompt:
    """A prompt and what stands in it.

    Args:
        ids: int32 [P], P <= max_length - max_new_tokens.
        items: catalogue positions that the prompt shows, actions and memory; a dropped action's is not among them.
        acted: how many of the first of them are actions', oldest first.
        named: int64 places in `ids` where an action's ID stands, ascending; the memory's are not among them.
        memory: where in `ids` the memory's lines begin and end; equal where there are none.
        dropped: how many of the oldest events did not fit.
    """

    ids: np.ndarray
    items: list[int]
    acted: int
    named: np.ndarray
    memory: tuple[int, int]
    dropped: int


def special_strings(tokenizer: Any) -> tuple[str, ...]:
    """Every string that the tokenizer turns into a mark of its own; data must not hold one."""
    return tuple(sorted({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}))


class PromptBuilder:
    """Prompts and responses of one dataset in one tokenizer's ids.

    Args:
        tokenizer: a fast tokenizer of transformers.
        template: the words around the data.
        catalogue: item texts.
        queries: query texts by index; searches hold indices.
        query_of_search: [S] query index of each search event.
        memory: the query-product memory, None where the log has no queries.
        settings: see PromptSettings.
        item_tokens: token ids of the items; None to spell each item's ID as text.

    Raises:
        UserError: max_length leaves no room for the instruction and one action.
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
        self._item_tokens = item_tokens
        self._marks = special_strings(tokenizer)
        self.item_names = prompt_safe_ids(catalogue.item_ids, self._marks)
        self._titles = [self.clean(title) or UNTITLED for title in catalogue.titles]
        self._response_parts(tokenizer, item_tokens)
        self._id_mark, title_mark, line = Ragged.tokenized(
            tokenizer, [template.id_mark, template.title_mark, template.memory_line]
        )
        text: list[Ragged | np.ndarray] = [title_mark, self._title_ids] if settings.item_text else []
        shown = [*text, *self._attributes(catalogue)] if settings.item_text else []
        self._items = self._each(self._id_mark, self.item_ids, *shown)
        self._products = self._each(line, self._id_mark, self.item_ids, *text)
        self._read(queries, query_of_search)
        words = {CLICK: template.clicked, PURCHASE: template.purchased, SEARCH: template.searched}
        self._words = list(Ragged.tokenized(tokenizer, [words[kind] for kind in sorted(words)]))
        fixed = Ragged.tokenized(tokenizer, [template.instruction, template.memory, template.now, template.answer])
        self._instruction, self._memory_head, self._now, self._answer = fixed
        self._instruction = np.r_[self._bos(), self._instruction].astype(np.int32)
        self._dates: dict[tuple[int, bool], np.ndarray] = {}
        self._budget = settings.max_length - settings.max_new_tokens
        least = len(self._instruction) + len(self._answer) + 64
        if self._budget < least:
            raise UserError(
                f"max_length: {settings.max_length} leaves {self._budget} tokens for a prompt beside "
                f"max_new_tokens {settings.max_new_tokens}; the template '{template.name}' needs {least} at least"
            )

    def _read(self, queries: Sequence[str], query_of_search: np.ndarray) -> None:
        self._queries, self._query_of_search = tuple(queries), query_of_search
        self._searched = Ragged.tokenized(self._tokenizer, [f" {self.clean(query)}" for query in self._queries])

    def with_queries(
        self, queries: Sequence[str], query_of_search: np.ndarray, memory: QueryProductMemory | None
    ) -> "PromptBuilder":
        """The same builder for other searches, its items' pieces shared; arguments as in the constructor."""
        other = copy(self)
        other._read(queries, query_of_search)
        other.memory = memory
        return other

    @property
    def decoder(self) -> Any:
        """What turns generated ids into text: the tokenizer, or a ItemDecoder where items have tokens of their own."""
        if self._item_tokens is None:
            return self._tokenizer
        return ItemDecoder(self._tokenizer, self.item_ids, self.item_names, self._item_tokens.first)

    @property
    def allowed_ids(self) -> list[list[int]]:
        """What a constrained response may say after `id_prefix`, by catalogue position: an id and the separator."""
        return [[*ids, *self.separator] for ids in self.item_ids]

    def clean(self, text: str) -> str:
        """Text of the data as it may stand in a prompt."""
        return sanitize(text, self._marks)

    def _bos(self) -> list[int]:
        bos = self._tokenizer.bos_token_id
        begins = self._tokenizer("a")["input_ids"][:1]
        return [bos] if bos is not None and begins == [bos] else []

    def _each(self, *parts: Ragged | np.ndarray) -> Ragged:
        """The parts of each item, one behind the other."""
        return Ragged.joined(len(self.item_ids), *parts)

    def _attributes(self, catalogue: Catalogue) -> list[Ragged]:
        """Each item's attributes as a prompt shows them, empty ones as nothing; a text that many have is read once."""
        made = []
        for name in self.settings.attributes:
            codes, distinct = pd.factorize(np.asarray(catalogue.attributes[name], object))
            texts = [self.template.attribute(name, self.clean(value)) for value in distinct]
            made.append(Ragged.tokenized(self._tokenizer, texts).take(codes))
        return made

    def _response_parts(self, tokenizer: Any, item_tokens: ItemTokens | None) -> None:
        self.id_prefix, self.separator = prefix, separator = Ragged.tokenized(tokenizer, [ID_PREFIX, SEPARATOR])
        texts = [f" {token}" for token in self.item_names] if item_tokens is None else []
        self.item_ids = Ragged.of(item_tokens.ids) if item_tokens else Ragged.tokenized(tokenizer, texts)
        self._title_ids = Ragged.tokenized(tokenizer, [f" {title}" for title in self._titles])
        longest = int(self.item_ids.lengths.max(initial=0)) + len(prefix) + len(separator) + 2
        if longest > self.settings.max_new_tokens:
            raise UserError(
                f"max_new_tokens: {self.settings.max_new_tokens} is too few; the longest item id alone needs {longest}"
            )

    def response(self, position: int) -> np.ndarray:
        """Token ids of the line that training shows, eos last; the title is cut so that it fits max_new_tokens."""
        head = [self.id_prefix, self.item_ids[position], self.separator]
        room = self.settings.max_new_tokens - sum(map(len, head)) - 1
        eos = np.asarray([self._tokenizer.eos_token_id], np.int32)
        return np.concatenate([*head, self._title_ids[position][:room], eos])

    def _date(self, seconds: float, moment: bool) -> np.ndarray:
        key = (int(seconds // DAY), moment)
        if key not in self._dates:
            text = coarse_date(key[0])
            piece = self.template.moment(text) if moment else self.template.date(text)
            self._dates[key] = Ragged.tokenized(self._tokenizer, [piece])[0]
        return self._dates[key]

    def memory_products(self, events: Events, training: bool) -> list[int]:
        """What the memory recalls for the last search; a training prompt leaves its own search event out."""
        last = events.last_search()
        if self.memory is None or last < 0:
            return []
        return self.memory.top_products(self._queries[self._query_of_search[last]], last if training else -1)

    def knows(self, events: Events) -> bool:
        """Whether the memory holds the last search's very query."""
        last = events.last_search()
        return self.memory is not None and last >= 0 and self.memory.knows(self._queries[self._query_of_search[last]])

    def encode(self, events: Events, now: float, recalled: Sequence[int]) -> Prompt:
        """One prompt.

        Args:
            events: all that lies before the target, oldest first.
            now: seconds, the moment of the recommendation.
            recalled: catalogue positions that the memory gave for the last search.
        """
        tail = [self._date(now, True)] if self.settings.dates else []
        tail.append(self._answer)
        room = self._budget - len(self._instruction) - sum(map(len, tail))
        recalled = recalled[: self.settings.recalled]
        lines = self._recalled(recalled, room // 2)
        room -= sum(map(len, lines))
        actions, items, named, dropped = self._actions(events, room)
        acted = len(items)
        items.extend(recalled[: max(0, len(lines) - 1)])
        begin = len(self._instruction) + sum(map(len, actions))
        memory = (begin, begin + sum(map(len, lines)))
        ids = np.concatenate([self._instruction, *actions, *lines, *tail])
        return Prompt(ids, items, acted, named, memory, dropped)

    def _recalled(self, products: Sequence[int], room: int) -> list[np.ndarray]:
        """The memory's lines, as many whole ones as fit in half of the room."""
        lines = [self._products[position] for position in products]
        while lines and len(self._memory_head) + sum(map(len, lines)) > room:
            lines.pop()
        return [self._memory_head, *lines] if lines else []

    def _actions(self, events: Events, room: int) -> tuple[list[np.ndarray], list[int], np.ndarray, int]:
        """The newest actions that fit, oldest first, the items they show, where in a prompt, and how many did not fit.

        A date stands behind the first action of its month or holiday; those that follow in the same one need none.
        """
        actions: list[list[np.ndarray]] = []
        items: list[int] = []
        dates = self._changes(events)
        for at in range(len(events) - 1, -1, -1):
            kind, ref = int(events.kind[at]), int(events.ref[at])
            text = self._searched[self._query_of_search[ref]] if kind == SEARCH else self._items[ref]
            action = [self._words[kind], text, *dates[at]]
            room -= sum(map(len, action))
            if room < 0:
                break
            actions.append(action)
            items.append(-1 if kind == SEARCH else ref)
        actions.reverse()
        items.reverse()
        named = self._places(actions, items)
        pieces = [piece for action in actions for piece in action]
        return pieces, [item for item in items if item >= 0], named, len(events) - len(actions)

    def _changes(self, events: Events) -> list[list[np.ndarray]]:
        """What each event says of its date: nothing where the event before says the same."""
        if not self.settings.dates:
            return [[] for _ in range(len(events))]
        dates = [self._date(time, False) for time in events.time.tolist()]
        return [[] if at and np.array_equal(date, dates[at - 1]) else [date] for at, date in enumerate(dates)]

    def _places(self, actions: Sequence[Sequence[np.ndarray]], items: Sequence[int]) -> np.ndarray:
        """Where the IDs of actions stand behind the instruction; an item of -1 names none."""
        places: list[np.ndarray] = [np.zeros(0, np.int64)]
        start = len(self._instruction)
        mark = len(self._id_mark)
        for action, item in zip(actions, items, strict=True):
            if item >= 0:
                places.append(start + len(action[0]) + mark + np.arange(len(self.item_ids[item])))
            start += sum(map(len, action))
        return np.concatenate(places)
